"""Makes tunnels.pcap beside this file with scapy 2.7 or later: one short conversation in each kind of tunnel.

The conversation in the tunnel number N runs from TCP port 40000 + N; what is said names the tunnel.
"""

from __future__ import annotations

from pathlib import Path

from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

T0 = 1_760_000_000.0


def outer(back: bool) -> Packet:
    one, two = ("192.0.2.1", "192.0.2.2") if not back else ("192.0.2.2", "192.0.2.1")
    return Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02") / IP(src=one, dst=two)


def outer6(back: bool) -> Packet:
    one, two = ("2001:db8::1", "2001:db8::2") if not back else ("2001:db8::2", "2001:db8::1")
    return Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02") / IPv6(src=one, dst=two)


def inner_ether(packet: Packet) -> Packet:
    return Ether(src="00:16:3e:00:00:01", dst="00:16:3e:00:00:02") / packet


def udp(port: int) -> Packet:
    return UDP(sport=55555, dport=port, chksum=0)


def raw(data: bytes) -> Packet:
    return Raw(data)


LABELS = MPLS(label=100, s=0, ttl=64) / MPLS(label=200, s=1, ttl=64)
OPTION = GeneveOptions(classid=0x0103, type=1, data=b"\1\2\3\4\5\6\7\x08")
TUNNELS = {
    "geneve": lambda b, p: outer(b) / udp(6081) / GENEVE(proto=0x6558, vni=7) / inner_ether(p),
    "geneve-options": lambda b, p: outer(b) / udp(6081) / GENEVE(proto=0x6558, options=[OPTION]) / inner_ether(p),
    "geneve-ip": lambda b, p: outer6(b) / UDP(sport=5, dport=6081) / GENEVE(proto=0x0800, vni=7) / p,
    "vxlan-gpe-ethernet": lambda b, p: outer(b) / udp(4790) / raw(b"\x0c\0\0\3\0\0\7\0" + bytes(inner_ether(p))),
    "vxlan-gpe-ip": lambda b, p: outer(b) / udp(4790) / raw(b"\x0c\0\0\1\0\0\7\0" + bytes(p)),
    "vxlan": lambda b, p: outer(b) / udp(4789) / VXLAN(vni=7, flags="Instance") / inner_ether(p),
    "nvgre": lambda b, p: outer(b) / GRE(key_present=1, key=0x000700, proto=0x6558) / inner_ether(p),
    "mpls": lambda b, p: Ether(type=0x8847) / LABELS / p,
    "mpls-vlan": lambda b, p: Ether() / Dot1Q(vlan=5, type=0x8847) / LABELS / p,
    "mpls-gre": lambda b, p: outer(b) / GRE(proto=0x8847) / LABELS / p,
    "mpls-ethernet": lambda b, p: Ether(type=0x8847) / LABELS / raw(bytes(inner_ether(p))),
    "mpls-control-word": lambda b, p: Ether(type=0x8847) / LABELS / raw(bytes(4) + bytes(inner_ether(p))),
    "pppoe": lambda b, p: Ether(type=0x8864) / PPPoE(sessionid=9) / PPP(proto=0x0021) / p,
    "pppoe-qinq": lambda b, p: Ether() / Dot1AD(vlan=3) / Dot1Q(vlan=5, type=0x8864) / PPPoE(sessionid=9) / PPP() / p,
    "4in4": lambda b, p: outer(b) / p,
    "4in6": lambda b, p: outer6(b) / p,
    "erspan-1": lambda b, p: outer(b) / GRE(proto=0x88BE) / inner_ether(p),
    "erspan-2": lambda b, p: outer(b) / GRE(proto=0x88BE, seqnum_present=1, seqence_number=3)
    / ERSPAN_II(session_id=4) / inner_ether(p),
    "erspan-3": lambda b, p: outer(b) / GRE(proto=0x22EB, seqnum_present=1, seqence_number=3)
    / ERSPAN_III(session_id=4) / inner_ether(p),
    "erspan-3-platform": lambda b, p: outer(b) / GRE(proto=0x22EB, seqnum_present=1, seqence_number=3)
    / ERSPAN_III(session_id=4, o=1) / ERSPAN_PlatformSpecific() / inner_ether(p),
    "geneve-in-vxlan": lambda b, p: outer(b) / udp(4789) / VXLAN(vni=7, flags="Instance")
    / Ether() / IP(src="198.51.100.1", dst="198.51.100.2") / udp(6081) / GENEVE(proto=0x6558, vni=8) / inner_ether(p),
    "vxlan-mpls-pppoe": lambda b, p: outer(b) / udp(4789) / VXLAN(vni=7, flags="Instance")
    / Ether(type=0x8864) / PPPoE(sessionid=9) / PPP(proto=0x0021) / p,
    "6in4": lambda b, p: outer(b) / p,
    "6in6": lambda b, p: outer6(b) / p,
    "geneve-6": lambda b, p: outer(b) / udp(6081) / GENEVE(proto=0x6558, vni=7) / inner_ether(p),
    "mpls-6": lambda b, p: Ether(type=0x8847) / LABELS / p,
    "pppoe-6": lambda b, p: Ether(type=0x8864) / PPPoE(sessionid=9) / PPP(proto=0x0057) / p,
}  # fmt: skip
SIX = ("6in4", "6in6", "geneve-6", "mpls-6", "pppoe-6")


def conversation(number: int, name: str) -> list[tuple[bool, Packet]]:
    six = name in SIX
    client, server = ("2001:db8:1::1", "2001:db8:1::2") if six else ("10.0.0.1", "10.0.0.2")
    port, said = 40_000 + number, name.encode()
    asked, told = b"ask " + said * 20, b"answer " + said * 30
    steps = [
        (False, "S", 1000, 0, b""),
        (True, "SA", 5000, 1001, b""),
        (False, "A", 1001, 5001, b""),
        (False, "PA", 1001, 5001, asked),
        (True, "PA", 5001, 1001 + len(asked), told),
        (False, "FA", 1001 + len(asked), 5001 + len(told), b""),
        (True, "FA", 5001 + len(told), 1002 + len(asked), b""),
        (False, "A", 1002 + len(asked), 5002 + len(told), b""),
    ]
    out = []
    for i, (back, flags, seq, ack, data) in enumerate(steps):
        here, there = (server, client) if back else (client, server)
        ends = (50051, port) if back else (port, 50051)
        ip = IPv6(src=here, dst=there) if six else IP(src=here, dst=there, id=100 + i)
        out.append((back, ip / TCP(sport=ends[0], dport=ends[1], flags=flags, seq=seq, ack=ack) / data))
    return out


def main() -> None:
    packets = []
    time = T0
    for number, (name, wrap) in enumerate(TUNNELS.items()):
        for back, packet in conversation(number, name):
            whole = wrap(back, packet)
            whole = Ether(bytes(whole))
            whole.time = time
            time += 0.001
            packets.append(whole)
    wrpcap(str(Path(__file__).with_name("tunnels.pcap")), packets, linktype=1)


if __name__ == "__main__":
    main()
