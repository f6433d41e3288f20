/*
 * Runs a program under the seccomp rules that systemd makes of a unit, where there is no systemd to do it:
 *   sandbox SYSCALLS FAMILIES WX PROGRAM [ARGUMENT]...
 * SYSCALLS  numbers that are allowed, with commas between; "" = all. Others fail with EPERM (SystemCallErrorNumber).
 * FAMILIES  numbers of address families, as RestrictAddressFamilies: socket() fails with EAFNOSUPPORT for others.
 * WX        1 = no memory is ever writable and executable (MemoryDenyWriteExecute), 0 = it may be.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 4000
static struct sock_filter code[MOST];
static unsigned short size;

static void put(unsigned short op, unsigned char yes, unsigned char no, unsigned value) {
  if (size == MOST) { fputs("sandbox: too many rules\n", stderr); exit(2); }
  code[size++] = (struct sock_filter){op, yes, no, value};
}

#define LOAD(field) put(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, field))
#define RETURN(what) put(BPF_RET | BPF_K, 0, 0, (what))
#define IF_NOT(value, skip) put(BPF_JMP | BPF_JEQ | BPF_K, 0, (skip), (value))
#define FAIL(error) RETURN(SECCOMP_RET_ERRNO | (error))

/* Calls each(number) for "1,2,3". */
static void numbers(char *list, void (*each)(unsigned)) {
  for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) each((unsigned)atoi(word));
}

static void allow_family(unsigned family) { IF_NOT(family, 1); RETURN(SECCOMP_RET_ALLOW); }
static void allow_call(unsigned call) { IF_NOT(call, 1); RETURN(SECCOMP_RET_ALLOW); }

/* What a call may not ask for: all of `bits` in its third argument, which is `prot` in mmap and mprotect. */
static void deny_bits(unsigned call, unsigned bits) {
  LOAD(nr);
  IF_NOT(call, 4);
  LOAD(args[2]);
  put(BPF_ALU | BPF_AND | BPF_K, 0, 0, bits);
  IF_NOT(bits, 1);
  FAIL(EPERM);
}

int main(int count, char **arguments) {
  if (count < 5) { fputs("usage: sandbox SYSCALLS FAMILIES WX PROGRAM...\n", stderr); return 2; }
  if (atoi(arguments[3])) {
    deny_bits(SYS_mmap, PROT_WRITE | PROT_EXEC);
    deny_bits(SYS_mprotect, PROT_EXEC);
    deny_bits(SYS_pkey_mprotect, PROT_EXEC);
  }
  LOAD(nr);
  unsigned short jump = size;
  IF_NOT(SYS_socket, 0);
  LOAD(args[0]);
  numbers(arguments[2], allow_family);
  FAIL(EAFNOSUPPORT);
  code[jump].jf = (unsigned char)(size - jump - 1);
  LOAD(nr);
  if (*arguments[1]) {
    numbers(arguments[1], allow_call);
    FAIL(EPERM);
  }
  RETURN(SECCOMP_RET_ALLOW);
  struct sock_fprog program = {size, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
    perror("sandbox");
    return 2;
  }
  execvp(arguments[4], arguments + 4);
  perror(arguments[4]);
  return 127;
}
