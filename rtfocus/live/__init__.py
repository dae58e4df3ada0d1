"""What live work needs beside readers and writers: slots between threads, outlets, captions."""
