/* A 32-bit program without any library, so that none needs to be installed: prints a line and exits
 * with 5. i386 system calls: write is 4, exit 1. */
.globl _start
.text
_start:
  movl $4, %eax
  movl $1, %ebx
  movl $text, %ecx
  movl $(text_end - text), %edx
  int $0x80
  movl $1, %eax
  movl $5, %ebx
  int $0x80
.section .rodata
text:
  .ascii "from 32 bits\n"
text_end:
.section .note.GNU-stack, "", @progbits
