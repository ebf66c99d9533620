"""Hostile programs by kind: none of them adds two numbers, and none may be paid for it."""

RIGHT = "def add(a, b): return a + b"
ZERO = "\ndef add(a=0, b=0): return 0"

# None of these adds; 3 tests expect 3, 0 and 15.
FORGERIES = {
    "equal_object": "class E:\n    def __eq__(self, other): return True\n    __hash__ = None\ndef add(a, b): return E()",
    "int_subclass": "class I(int):\n    def __eq__(self, other): return True\ndef add(a, b): return I(0)",
    "frames": """
import os, sys
def add(a, b):
    frame = sys._getframe()
    while frame:
        for name, value in list(frame.f_locals.items()):
            if isinstance(value, list): value[:] = [True] * max(3, len(value))
            if isinstance(value, dict) and "status" in value: value["status"] = "correct"
        frame = frame.f_back
    os._exit(0)""",
    "gc_scan": """
import gc
def add(a, b):
    for thing in gc.get_objects():
        if type(thing) is dict and "expected" in thing: return thing["expected"]
        if type(thing) is dict and "cases" in thing: return thing["cases"][0][1]
        if type(thing) is list and len(thing) == 2 and thing[0] == [a, b]: return thing[1]
    return 0""",
    "patched_json": "import json\njson.loads = lambda *a, **k: 0\njson.dumps = lambda *a, **k: '0'" + ZERO,
    "exit": "import sys\nsys.exit(0)",
    "hard_exit": "import os\nos._exit(0)",
    "atexit": "import atexit, os\natexit.register(lambda: os._exit(0))\nraise SystemExit",
    "excepthook": "import os, sys\nsys.excepthook = lambda *a: os._exit(0)\n1 / 0",
    "exit_in_function": "def add(a, b): raise SystemExit(0)",
    "marker": 'print("ok", "PASSED", 3, 0, 15)\nprint(\'{"status": "ran", "reward": 1.0}\')' + ZERO,
    "patched_operators": """
import builtins, operator, unittest
operator.eq = lambda a, b: True
unittest.TestCase.assertEqual = lambda *a: None
builtins.all = builtins.any = builtins.isinstance = lambda *a: True
builtins.AssertionError = type("Quiet", (Exception,), {})""" + ZERO,
}  # fmt: skip

REPLIES = ['"correct"', "1", "[]", '{"status": "correct"}', '{"status": "ran", "reward": 1, "value": true}',
           '{"status": "ran", "stdout": "3"}', '{"status": "ran", "value": ["int", "3", "0", "f"]}',
           '{"status": "ran", "value": ' + "[" * 50_000 + "]" * 50_000 + "}", "[" * 200_000, "NaN", "9" * 5000, ""]  # fmt: skip

# By the families of probes that a code grader is tried with. {} is a folder that must stay empty.
PROBES = {
    "1 exit at import": ["import sys\nsys.exit(0)", "exit()", "raise SystemExit(0)"],
    "2 hard exit": ["import os\nos._exit(0)", "import os\ndef add(a, b): os._exit(0)", "import os\nos.abort()"],
    "3 exit in the function": ["def add(a, b): raise SystemExit", "def add(a, b): raise KeyboardInterrupt"],
    "4 exit hooks": [FORGERIES["atexit"], FORGERIES["excepthook"]],
    "5 equal to all": [FORGERIES["equal_object"], "from unittest.mock import ANY\ndef add(a, b): return ANY"],
    "6 subclasses": [
        f"class S({base}):\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
        f"    __hash__ = None\ndef add(a, b): return S()"
        for base in ("int", "float", "str", "list", "tuple", "dict", "set")
    ],
    "7 frames": [FORGERIES["frames"], "import sys\ndef add(a, b): return sys._getframe(2).f_locals['job']['expected']"],
    "8 scans": [FORGERIES["gc_scan"], "import inspect\ndef add(a, b): return inspect.stack()[1].frame.f_locals['expected']"],
    "9 patches": [
        FORGERIES["patched_json"],
        FORGERIES["patched_operators"],
        *(f"import json\nclass E:\n    def encode(self, o): return {reply!r}\njson._default_encoder = E()" + ZERO for reply in REPLIES),
    ],
    "10 markers": [FORGERIES["marker"]],
    "11 file descriptors": ["import os\nfor n in range(3, 64):\n    try: os.write(n, b'ok')\n    except OSError: pass" + ZERO],
    "12 own source": ["import sys\nopen(sys.argv[0]).read()", "open(__file__).read()", "import guest, inspect\ninspect.getsource(guest)"],
    "13 endless loop": ["while True: pass", "def add(a, b):\n    while True: pass"],
    "14 endless loop in C": ["9**9**9", "import re\nre.match('(a+)+$', 'a' * 40 + 'b')", "sum(range(10**15))", "list(iter(int, 1))"],
    "15 memory": ["bytes(10**9)", "x = []\nwhile True: x.append(bytes(10**6))", "x = 'x'\nwhile True: x += x"],
    "16 forks": ["import os\nwhile True: os.fork()", "import multiprocessing\nmultiprocessing.Process(target=print).start()"],
    "17 threads": [
        "import threading\ndef f(): threading.Thread(target=f).start()\nf()",
        "import _thread\nwhile True: _thread.start_new_thread(print, ())",
    ],
    "18 floods": ["while True: print('x' * 1000)", "import os\nwhile True: os.write(1, b'x' * 100_000)", "import sys\nwhile True: sys.stderr.write('x')"],
    "19 disk": ["i = 0\nwhile True:\n    open('{}/%d' % i, 'w').write('x' * 10**6)\n    i += 1", "import os\nos.mkdir('{}/x')"],
    "20 nesting": ["import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()", "x = " + "(" * 20_000 + ")" * 20_000, "x = " + "-" * 20_000 + "1", "x = [1]\nfor i in range(100_000): x = [x]\ndef add(a, b): return x"],
    "21 crashes": [
        "import ctypes\nctypes.string_at(0)",
        "def f(): pass\nf.__code__ = f.__code__.replace(co_code=bytes(range(256)) * 2)\nf()",
        "def f(): pass\nf.__code__ = f.__code__.replace(co_code=bytes([100, 255] * 50), co_consts=(), co_stacksize=0)\nf()" + ZERO,
    ],
    "22 ignored signals": ["import signal\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass"],
    "23 kills": ["import os\nos.kill(os.getppid(), 9)", "import os\nos.kill(-1, 9)", "import posix\nposix.kill(1, 9)"],
    "24 reads": ["open('/etc/passwd').read()", "import os\nos.listdir('/root')", "import pathlib\npathlib.Path('{}').read_text()", "import io\nio.FileIO('/etc/passwd').read()"],
    "25 secrets": ["import os\nos.environ['RLVR_SECRET']", "open('/proc/1/environ').read()", "open('/proc/self/mem', 'rb').read(1)"],
    "26 network": [
        "import socket\nsocket.create_connection(('127.0.0.1', 80))",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))",
        "import socket\nsocket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
        "import socket\nsocket.gethostbyname('example.com')",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')",
    ],
    "27 writes": [
        "open('{}/x', 'w').write('x')",
        "open('../x', 'w').write('x')",
        "import io\nio.FileIO('{}/x', 'w')",
        "import os\nos.close(os.open('{}/x', os.O_CREAT | os.O_WRONLY))",
        "import json\nopen(json.__file__, 'w').write('x')",
        "import tempfile\ntempfile.NamedTemporaryFile(delete=False)",
    ],
    "28 links": ["import os\nos.symlink('/etc/passwd', '{}/link')", "import os\nos.link('/etc/passwd', '{}/link')"],
    "29 programs": ["import os\nos.system('touch {}/x')", "import subprocess\nsubprocess.run(['touch', '{}/x'])", "import os\nos.execv('/bin/touch', ['touch', '{}/x'])"],
    "30 namespaces": ["import os\nos.unshare(0x10000000)", "import ctypes\nctypes.CDLL(None).mount(0, 0, 0, 0, 0)", "import ctypes\nctypes.CDLL(None).ptrace(0, 0, 0, 0)"],
    "31 limits": ["import resource\nresource.setrlimit(resource.RLIMIT_CPU, (-1, -1))"],
    "32 traces": [
        "import builtins, json, guest\nbuiltins.len = lambda x: 0\njson.loads = None\nguest.plain = lambda *a: ['int', '3']" + ZERO,
        "import os\nos.environ['RLVR_TRACE'] = '1'\nos.chdir('{}')" + ZERO,
    ],
    "33 daemons": ["import os\nif not os.fork():\n    os.setsid()\n    while True: open('{}/x', 'w')", "import threading\nthreading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()"],
    "34 pickles": ["class R:\n    def __reduce__(self): return (print, ())\ndef add(a, b): return R()", "import os, pickle\nclass R:\n    def __reduce__(self): return (os.system, ('touch {}/x',))\ndef add(a, b): return pickle.loads(pickle.dumps(R()))"],
    "35 odd texts": ["\0" + RIGHT, "\ud800" + RIGHT, RIGHT + "\n#" + "x" * 200_000, "def add(a, b):\r\n\treturn 0\r\n", "\ufeff\x1b[2J", "# coding: rot13\nqrs nqq(n, o): erghea n + o"],
}  # fmt: skip
