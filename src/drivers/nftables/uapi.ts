/** Numbers of linux/netfilter/nf_tables.h and linux/netfilter/nfnetlink.h, by the names they have there. */

export const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_NFTABLES = 10;
export const NFNLGRP_NFTABLES = 7;
export const NFNL_MSG_BATCH_BEGIN = 16;
export const NFNL_MSG_BATCH_END = 17;
export const NFNL_BATCH_GENID = 1;

/** Families of nfgenmsg. */
export const FAMILY = { inet: 1, ip: 2, arp: 3, netdev: 5, ip6: 10 } as const;

const message = (type: number): number => (NFNL_SUBSYS_NFTABLES << 8) | type;

export const NFT_MSG = {
  NEWTABLE: message(0),
  GETTABLE: message(1),
  DELTABLE: message(2),
  NEWCHAIN: message(3),
  GETCHAIN: message(4),
  DELCHAIN: message(5),
  NEWRULE: message(6),
  GETRULE: message(7),
  DELRULE: message(8),
  NEWSET: message(9),
  GETSET: message(10),
  DELSET: message(11),
  NEWSETELEM: message(12),
  GETSETELEM: message(13),
  DELSETELEM: message(14),
  NEWGEN: message(15),
  GETGEN: message(16),
  NEWOBJ: message(18),
  GETOBJ: message(19),
} as const;

export const NFTA_GEN = { ID: 1 } as const;
export const NFTA_TABLE = { NAME: 1, FLAGS: 2 } as const;
/** The table goes with the socket that made it (Linux 5.12). */
export const NFT_TABLE_F_OWNER = 2;
export const NFTA_CHAIN = { TABLE: 1, HANDLE: 2, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7, FLAGS: 10 } as const;
export const NFTA_HOOK = { HOOKNUM: 1, PRIORITY: 2 } as const;
export const NFTA_RULE = {
  TABLE: 1,
  CHAIN: 2,
  HANDLE: 3,
  EXPRESSIONS: 4,
  POSITION: 6,
  USERDATA: 7,
} as const;
export const NFTA_SET = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  DESC: 9,
  ID: 10,
  TIMEOUT: 11,
  USERDATA: 13,
  EXPR: 17,
  COUNT: 20,
} as const;
export const NFTA_SET_DESC_SIZE = 1;
export const NFTA_SET_DESC_CONCAT = 2;
export const NFTA_SET_FIELD_LEN = 1;
export const NFT_SET = { ANONYMOUS: 0x1, INTERVAL: 0x4, MAP: 0x8, TIMEOUT: 0x10, EVAL: 0x20, CONCAT: 0x80 } as const;
export const NFT_DATA_VERDICT = 0xffffff00;

export const NFTA_LIST_ELEM = 1;
export const NFTA_SET_ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
export const NFTA_SET_ELEM = {
  KEY: 1,
  DATA: 2,
  FLAGS: 3,
  EXPIRATION: 5,
  USERDATA: 6,
  EXPR: 7,
  KEY_END: 10,
} as const;
export const NFT_SET_ELEM_INTERVAL_END = 1;

export const NFTA_DATA = { VALUE: 1, VERDICT: 2 } as const;
export const NFTA_VERDICT = { CODE: 1, CHAIN: 2 } as const;
/** NF_DROP, NF_ACCEPT and enum nft_verdicts, as unsigned 32 bits. */
export const VERDICT = {
  drop: 0,
  accept: 1,
  jump: 0xfffffffd,
  goto: 0xfffffffc,
  return: 0xfffffffb,
} as const;

export const NFTA_EXPR = { NAME: 1, DATA: 2 } as const;
/** The first register of 32 bits; 16 of them follow each other. Register 0 is the verdict. */
export const NFT_REG32_00 = 8;
export const NFT_REG_VERDICT = 0;

export const NFTA_META = { DREG: 1, KEY: 2, SREG: 3 } as const;
export const NFT_META = {
  MARK: 3,
  IIFNAME: 6,
  OIFNAME: 7,
  IIFTYPE: 8,
  NFPROTO: 15,
  L4PROTO: 16,
  PRANDOM: 24,
} as const;
export const NFTA_PAYLOAD = { DREG: 1, BASE: 2, OFFSET: 3, LEN: 4 } as const;
export const NFT_PAYLOAD = { LL: 0, NETWORK: 1, TRANSPORT: 2 } as const;
export const NFTA_CT = { DREG: 1, KEY: 2 } as const;
export const NFT_CT = { STATE: 0, DIRECTION: 1, STATUS: 2, MARK: 3 } as const;
export const NFTA_CMP = { SREG: 1, OP: 2, DATA: 3 } as const;
export const NFT_CMP = { EQ: 0, NEQ: 1, LTE: 3, GTE: 5 } as const;
export const NFTA_RANGE = { SREG: 1, OP: 2, FROM: 3, TO: 4 } as const;
export const NFT_RANGE_NEQ = 1;
export const NFTA_BITWISE = { SREG: 1, DREG: 2, LEN: 3, MASK: 4, XOR: 5 } as const;
export const NFTA_LOOKUP = { SET: 1, SREG: 2, DREG: 3, FLAGS: 5 } as const;
export const NFT_LOOKUP_INV = 1;
export const NFTA_IMMEDIATE = { DREG: 1, DATA: 2 } as const;
export const NFTA_FIB = { DREG: 1, RESULT: 2, FLAGS: 3 } as const;
export const NFT_FIB_RESULT_ADDRTYPE = 3;
export const NFTA_FIB_F = { saddr: 1, daddr: 2 } as const;
export const NFTA_LOG = { GROUP: 1, PREFIX: 2, SNAPLEN: 3 } as const;
export const NFTA_LIMIT = { RATE: 1, UNIT: 2, BURST: 3, TYPE: 4, FLAGS: 5 } as const;
export const NFTA_NAT = { TYPE: 1, FAMILY: 2, REG_ADDR_MIN: 3, REG_PROTO_MIN: 5 } as const;
export const NFT_NAT_DNAT = 1;
export const NFTA_REJECT = { TYPE: 1, ICMP_CODE: 2 } as const;
export const NFT_REJECT = { ICMP_UNREACH: 0, ICMPX_UNREACH: 2 } as const;
export const NFTA_DYNSET = { SET_NAME: 1, OP: 3, SREG_KEY: 4, SREG_DATA: 5, TIMEOUT: 6, EXPR: 7 } as const;
export const NFT_DYNSET_OP_UPDATE = 1;
export const NFTA_OBJ = { TABLE: 1, NAME: 2, TYPE: 3, DATA: 4 } as const;
export const NFT_OBJECT_COUNTER = 1;
export const NFTA_OBJREF = { IMM_TYPE: 1, IMM_NAME: 2 } as const;
export const NFTA_COUNTER = { BYTES: 1, PACKETS: 2 } as const;

/** linux/netfilter.h: numbers of the hooks; arp and netdev count on their own. */
export const HOOK = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
export const ARP_HOOK = { input: 0, output: 1, forward: 2 } as const;

/** linux/netfilter/nf_conntrack_common.h and nf_conntrack_tuple_common.h: bits of `ct state` and `ct status`. */
export const CT_STATE = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;
export const CT_STATUS = { snat: 16, dnat: 32 } as const;
export const CT_DIRECTION = { original: 0, reply: 1 } as const;
/** linux/rtnetlink.h: what `fib ... type local` compares with. */
export const RTN_LOCAL = 2;
/** linux/if_arp.h: links whose header is Ethernet's. */
export const ARPHRD_ETHER = 1;

/** Longest name of a table, chain or set, without its closing zero. */
export const NFT_NAME_MAX = 255;
