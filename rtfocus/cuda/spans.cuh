// Which pixels a cell of a grid is made of; see spans.py.
// What a cell covers along one axis: pixels first..last, the first and the last one to a share.
struct Span {
    int first, last;
    float head, body, tail;
};

__device__ __forceinline__ float weight(const Span& span, int at) {
    return at == span.first ? span.head : at == span.last ? span.tail : span.body;
}

