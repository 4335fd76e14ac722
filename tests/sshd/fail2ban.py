"""What Debian's fail2ban makes of an auth log: its own filter for sshd and its own counting, in the log's time instead of the clock's.

fail2ban.py LOG MAXRETRY FINDTIME prints `ban ADDRESS LINE TIME`, LINE being the one, from 1, that led to it, and at the end
`failures ADDRESS COUNT FIRST` for each address, FIRST being the time of its first one. That a ban ends is left out: an address may be banned again.
"""
import sys

sys.path[:0] = ["/usr/lib/python3/dist-packages"]
from fail2ban.client.filterreader import FilterReader
from fail2ban.server.failmanager import FailManagerEmpty
from fail2ban.server.filter import Filter
from fail2ban.server.mytime import MyTime
from fail2ban.server.ticket import FailTicket

log, maxretry, findtime = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
reader = FilterReader("sshd", "sshd", {"logtype": "file"}, basedir="/etc/fail2ban")
reader.read()
reader.getOptions({})
sshd = Filter(None, useDns="no")
sshd.setMaxRetry(maxretry)
sshd.setFindTime(findtime)
sshd.ignoreSelf = sshd.checkFindTime = False
for _, _, what, *values in reader.convert():
    if what == "prefregex":
        sshd.prefRegex = values[0]
    elif what == "addfailregex":
        for value in values[0] if isinstance(values[0], list) else values:
            sshd.addFailRegex(value)
    elif what == "maxlines":
        sshd.setMaxLines(int(values[0]))
    elif what == "datepattern":
        sshd.setDatePattern(values[0])
failures, first = {}, {}
with open(log, errors="replace") as lines:
    for number, line in enumerate(lines, 1):
        for _, address, when, found, *_ in sshd.processLine(line.rstrip("\n")):
            if address is None:
                continue
            MyTime.setTime(when)
            failures[str(address)] = failures.get(str(address), 0) + 1
            first.setdefault(str(address), int(when))
            sshd.failManager.addFailure(FailTicket(address, when, data=found))
            try:
                while True:
                    print("ban", sshd.failManager.toBan().getID(), number, int(when))
            except FailManagerEmpty:
                pass
for address, count in sorted(failures.items()):
    print("failures", address, count, first[address])
