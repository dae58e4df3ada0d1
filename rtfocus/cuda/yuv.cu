// Between the RGB that rtfocus works in and what decoders give and encoders take.
// See rtfocus/kernels/from_yuv.py and to_yuv.py, whose arithmetic this repeats.

#define TRANSPOSE 1  // of an orientation: first this, then the others
#define FLIP_X 2
#define FLIP_Y 4

__device__ __forceinline__ float sample(const void* __restrict__ plane, size_t at, int wide) {
    return wide ? ((const u16*)plane)[at] : ((const u8*)plane)[at];
}

// YUV of 8 to 16 bits to upright RGB. `step` is 2 where Cb and Cr lie by turns, pitches are in samples, and `coding`
// holds the taps and the matrix of yuv_to_rgb.
extern "C" __global__ __launch_bounds__(256) void from_yuv(
    const void* __restrict__ luma, const void* __restrict__ cb, const void* __restrict__ cr, int luma_pitch,
    int chroma_pitch, int step, int wide, int height, int width, int shift_x, int shift_y,
    const float* __restrict__ coding, int orientation, u8* __restrict__ image) {
    const bool transposed = orientation & TRANSPOSE;
    const int across = transposed ? height : width, down = transposed ? width : height;
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= across || y >= down) return;
    const int i = orientation & FLIP_X ? across - 1 - x : x, j = orientation & FLIP_Y ? down - 1 - y : y;
    const int row = transposed ? i : j, column = transposed ? j : i;

    const float *taps = coding, *matrix = coding + 4;
    const int rows = (height + shift_y) >> shift_y, columns = (width + shift_x) >> shift_x;
    const int own = row >> shift_y, other = clamp(own + shift_y * (2 * (row & 1) - 1), 0, rows - 1);
    const int odd = column & shift_x, first = column >> shift_x;
    const int second = clamp(first + (odd ? 1 : -1), 0, columns - 1);
    const float first_part = shift_x ? taps[2 * odd] : 1.0f, second_part = shift_x ? taps[2 * odd + 1] : 0.0f;
    float chroma[2];
    for (int c = 0; c < 2; ++c) {
        const void* plane = c ? cr : cb;
        const int shifted = c && step == 2 ? 1 : 0;
        float mixed[2];
        for (int k = 0; k < 2; ++k) {
            const int at = (k ? second : first) * step + shifted;
            const float near = sample(plane, (size_t)own * chroma_pitch + at, wide);
            const float far = sample(plane, (size_t)other * chroma_pitch + at, wide);
            mixed[k] = near - matrix[6] + 0.25f * (far - near);
        }
        chroma[c] = first_part * mixed[0] + second_part * mixed[1];
    }
    const float grey = sample(luma, (size_t)row * luma_pitch + column, wide) * matrix[0] + matrix[1];
    const float top = matrix[7] + 0.5f;
    u8* pixel = image + ((size_t)y * across + x) * 3;
    pixel[0] = (int)clamp(grey + matrix[2] * chroma[1], 0.5f, top);
    pixel[1] = (int)clamp(grey + matrix[3] * chroma[0] + matrix[4] * chroma[1], 0.5f, top);
    pixel[2] = (int)clamp(grey + matrix[5] * chroma[0], 0.5f, top);
}

// RGB to YUV 4:2:0, BT.709, limited range, chroma on the even columns: luma, then Cb and Cr, by turns where
// `interleaved`. Rows of luma and of interleaved chroma are `pitch` apart, those of Cb and Cr half of that.
// A thread makes one sample of chroma and the luma of its pixels.
extern "C" __global__ __launch_bounds__(256) void to_yuv(
    const u8* __restrict__ image, int height, int width, int pitch, int interleaved, u8* __restrict__ yuv) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
    const int columns = (width + 1) / 2, rows = (height + 1) / 2;
    if (i >= columns || j >= rows) return;
    float to_blue = 0, to_red = 0;
    for (int n = 0; n < 3; ++n) {
        const int x = clamp(2 * i + n - 1, 0, width - 1);
        float blue_sum = 0, red_sum = 0;
        for (int k = 0; k < 2; ++k) {
            const int y = min(2 * j + k, height - 1);
            const u8* pixel = image + ((size_t)y * width + x) * 3;
            const float red = pixel[0], green = pixel[1], blue = pixel[2];
            const float grey = 0.2126f * red + 0.7152f * green + 0.0722f * blue;
            blue_sum += blue - grey;
            red_sum += red - grey;
            if (n > 0 && 2 * i + n - 1 < width) yuv[(size_t)y * pitch + x] = (int)(219.0f / 255 * grey + 16.5f);
        }
        const float weight = n == 1 ? 2.0f : 1.0f;
        to_blue += weight * blue_sum;
        to_red += weight * red_sum;
    }
    const u8 cb = (int)(to_blue * (float)(224 / 255. / 1.8556 / 8) + 128.5f);
    const u8 cr = (int)(to_red * (float)(224 / 255. / 1.5748 / 8) + 128.5f);
    u8* chroma = yuv + (size_t)height * pitch;
    if (interleaved) {
        u8* pair = chroma + (size_t)j * pitch + 2 * i;
        pair[0] = cb;
        pair[1] = cr;
    } else {
        chroma[(size_t)j * (pitch / 2) + i] = cb;
        chroma[(size_t)(rows + j) * (pitch / 2) + i] = cr;
    }
}
