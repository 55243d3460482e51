// Asks for a processor that nobody has, by the highest bit of GNU_PROPERTY_X86_ISA_1_NEEDED: glibc's loader compares it with
// what there is, and refuses (sysdeps/x86/dl-prop.h).
__asm__(".section .note.gnu.property,\"a\",@note\n"
        ".balign 8\n"
        ".long 4, 16, 5\n"
        ".asciz \"GNU\"\n"
        ".long 0xc0008002, 4, 0x80000000, 0\n"
        ".previous\n");

int main(void) {
    return 0;
}
