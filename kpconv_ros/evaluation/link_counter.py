# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run at an end of a thin link: for each line that it reads it prints the time and the bytes sent, all and users'."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

ALL_PROTOCOLS, IPV4, UDP = 3, 0x0800, 17
LONGEST = 65536  # bytes


def is_user_message(frame: bytes) -> bool:
    """Whether an Ethernet frame is a UDP datagram to an odd port.

    RTPS 2.5, 9.6.1.1: a domain's ports begin at 7400 + 250 domain, which is even; what participants tell each other
    about themselves goes to offsets 0 and 10 + 2 n, user data to 1 and 11 + 2 n.
    """
    if len(frame) < 38 or int.from_bytes(frame[12:14], "big") != IPV4 or frame[23] != UDP:
        return False
    ports = 14 + 4 * (frame[14] & 0x0F)
    return int.from_bytes(frame[ports + 2 : ports + 4], "big") % 2 == 1


def count(device: str) -> None:
    """Answer until the input ends."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    listener.bind((device, 0))
    listener.setblocking(False)
    counter = Path(f"/sys/class/net/{device}/statistics/tx_bytes")
    user_bytes = 0
    for _ in sys.stdin:
        try:
            while True:
                frame, address = listener.recvfrom(LONGEST)
                if address[2] == socket.PACKET_OUTGOING and is_user_message(frame):
                    user_bytes += len(frame)
        except OSError:  # no more waits, or the link went down
            print(time.time(), counter.read_text().strip(), user_bytes, flush=True)


if __name__ == "__main__":
    count(sys.argv[1])
