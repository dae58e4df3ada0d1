from rtfocus.readers.base import Reader


class PatternReader(Reader): ...
