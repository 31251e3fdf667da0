"""Writes a program and COUNT libraries, each with a constructor and a few relocations, to DIR."""
import pathlib
import sys


def write(path, text):
    """Leaves a file that is right already alone: what is made of it stays up to date."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


directory, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
directory.mkdir(parents=True, exist_ok=True)
for i in range(count):
    write(
        directory / f"many{i}.c",
        f"static int began;\n"
        f"__attribute__((constructor)) static void begin(void) {{ began = 1; }}\n"
        f"int many{i}(void) {{ return began; }}\n")
names = [f"many{i}" for i in range(count)]
write(
    directory / "main.c",
    "#include <stdio.h>\n" + "".join(f"extern int {n}(void);\n" for n in names) +
    "int main(void) {\n  int sum = 0;\n" + "".join(f"  sum += {n}();\n" for n in names) +
    '  printf("sum=%d\\n", sum);\n  return 0;\n}\n')
