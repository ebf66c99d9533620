"""A filter of system calls: what a program under bubblewrap may not ask of the kernel.

A classic BPF program as seccomp(2) reads it: a list of struct sock_filter {u16 code; u8 jt; u8 jf; u32 k}, run on
struct seccomp_data {int nr; u32 arch; u64 instruction_pointer; u64 args[6]}. The namespaces already leave a program
nothing to reach; the filter keeps it one process with one thread, and most of the kernel's code away from it.
"""

import struct

LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
ALLOW, KILL, ERRNO = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
EPERM, ENOSYS = 1, 38
X32 = 0x4000_0000
"""Calls of x86-64 by 32-bit pointers have numbers from here on; they would pass by a list of the others."""
NEWEST = 424
"""From this number on, the same on all processors, are clone3, io_uring, pidfd, the new mounts and what is yet to come.

An interpreter needs none: the C library takes an older call where one of these is not implemented.
"""

AUDIT = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
# The numbers on x86-64 and on aarch64, in the order of AUDIT. None: this processor has no such call.
DENIED: dict[str, tuple[int, int | None]] = {
    # Processes and threads, and signals to others.
    "clone": (56, 220), "fork": (57, None), "vfork": (58, None), "kill": (62, 129), "tkill": (200, 130),
    "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    # Sockets.
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "accept": (43, 202), "accept4": (288, 242),
    "bind": (49, 200), "listen": (50, 201), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211),
    "recvmsg": (47, 212), "sendmmsg": (307, 269), "recvmmsg": (299, 243), "shutdown": (48, 210),
    "getsockname": (51, 204), "getpeername": (52, 205), "setsockopt": (54, 208), "getsockopt": (55, 209),
    # Namespaces and mounts.
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "swapon": (167, 224), "swapoff": (168, 225), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # The kernel itself, its keys, clocks and modules.
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "create_module": (174, None),
    "reboot": (169, 142), "syslog": (103, 116), "acct": (163, 89), "quotactl": (179, 60), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161),
    "setdomainname": (171, 162), "lookup_dcookie": (212, 18), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "personality": (135, 92), "vhangup": (153, 58), "uselib": (134, None),
    "ustat": (136, None), "sysfs": (139, None), "_sysctl": (156, None), "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263), "migrate_pages": (256, 238), "move_pages": (279, 239), "mbind": (237, 235),
    "set_mempolicy": (238, 237), "remap_file_pages": (216, 234),
    # Memory and queues outside of the limits.
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197), "semget": (64, 190),
    "semop": (65, 193), "semtimedop": (220, 192), "semctl": (66, 191), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183), "mq_notify": (244, 184), "mq_getsetattr": (245, 185),
    "memfd_create": (319, 279), "pipe": (22, None), "pipe2": (293, 59), "eventfd": (284, None), "eventfd2": (290, 19),
    "signalfd": (282, None), "signalfd4": (289, 74), "timerfd_create": (283, 85), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "epoll_create": (213, None), "epoll_create1": (291, 20), "io_setup": (206, 0),
    "io_destroy": (207, 1), "io_submit": (209, 2), "io_cancel": (210, 3), "io_getevents": (208, 4),
    "io_pgetevents": (333, 292), "timer_create": (222, 107), "splice": (275, 76), "tee": (276, 77), "vmsplice": (278, 75),
    # Sleep: a program that waits uses up no processor time.
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "pause": (34, None), "rt_sigsuspend": (130, 133),
    "rt_sigtimedwait": (128, 137), "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
}  # fmt: skip
PRLIMIT = (302, 261)
FUTEX = (202, 98)
FUTEX_WAITS = (0, 6, 9, 11)  # WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI
FUTEX_COMMAND = 0x7F


def seccomp_filter(machine: str) -> bytes:
    """The filter for a processor, as platform.machine() names it. Raises KeyError for one that is not in AUDIT.

    A call by another processor's convention ends the process; a denied one fails with EPERM, a newer one with ENOSYS.
    The limits of another process are its own, and one thread that waits for another waits forever.
    """
    audit, column = AUDIT[machine], list(AUDIT).index(machine)
    program = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, audit), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    program += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL), (AT_LEAST, 0, 1, NEWEST), (RETURN, 0, 0, ERRNO | ENOSYS)]
    for numbers in DENIED.values():
        number = numbers[column]
        if number is not None:
            program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | EPERM)]
    program += [
        (EQUAL, 0, 3, PRLIMIT[column]),
        (LOAD, 0, 0, ARGUMENTS),
        (EQUAL, 1, 0, 0),
        (RETURN, 0, 0, ERRNO | EPERM),
        (LOAD, 0, 0, NUMBER),
        (EQUAL, 0, 2 + 2 * len(FUTEX_WAITS), FUTEX[column]),
        (LOAD, 0, 0, ARGUMENTS + 8),
        (AND, 0, 0, FUTEX_COMMAND),
    ]
    for command in FUTEX_WAITS:
        program += [(EQUAL, 0, 1, command), (RETURN, 0, 0, ERRNO | EPERM)]
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in program)
