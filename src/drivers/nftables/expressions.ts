/**
 * The steps of a rule as the kernel's expressions (what `nft --debug=netlink` shows). What a field implies is matched once,
 * in front of its first use, as nft(8) does, so that `nft list` prints the rule as people would write it.
 */
import type { Field, Rule, Step, Table, Verdict } from "../../core/rules/ir.ts";
import { DEFAULT_SNAPLEN } from "../../core/rules/print.ts";
import type { MessageWriter } from "../syscall/netlink-message.ts";
import { padded } from "./element.ts";
import { FIELDS, type FieldSpec, type Implies } from "./field.ts";
import * as nft from "./uapi.ts";
import { equalBytes, isRange, lengthOf, parseValue, type Span } from "./value.ts";

/** Protocols whose header begins with source and destination port. */
const WITH_PORTS: readonly number[] = [6, 17, 33, 132, 136];
const TCP = 6;
const ICMP = 1;
const ICMPV6 = 58;
const IPV4 = Uint8Array.of(nft.FAMILY.ip);
const IPV6 = Uint8Array.of(nft.FAMILY.ip6);
/** `__be16` of the link's type, but in host order: as the kernel stores it in the register. */
const ETHERNET = Uint8Array.of(nft.ARPHRD_ETHER, 0);
const FIRST = nft.NFT_REG32_00;

/** Writes NFTA_RULE_EXPRESSIONS. Throws RangeError that says what is wrong with the rule. */
export function writeExpressions(writer: MessageWriter, family: Table["family"], rule: Rule): void {
  const encoder = new RuleEncoder(writer, family);
  writer.nest(nft.NFTA_RULE.EXPRESSIONS, () => {
    for (const step of rule.steps) encoder.step(step);
  });
}

/** An element's counter (NFTA_SET_EXPR). */
export function writeCounter(writer: MessageWriter, attribute: number): void {
  writer.nest(attribute, () => {
    writer.string(nft.NFTA_EXPR.NAME, "counter");
    writer.nest(nft.NFTA_EXPR.DATA, () => {});
  });
}

/** NFTA_DATA_VERDICT inside a nest of the given type. */
export function writeVerdict(writer: MessageWriter, attribute: number, verdict: Verdict): void {
  writer.nest(attribute, () => {
    writer.nest(nft.NFTA_DATA.VERDICT, () => {
      writer.u32Be(nft.NFTA_VERDICT.CODE, nft.VERDICT[verdict.kind]);
      if ("chain" in verdict) writer.string(nft.NFTA_VERDICT.CHAIN, verdict.chain);
    });
  });
}

class RuleEncoder {
  readonly #writer: MessageWriter;
  readonly #family: Table["family"];
  /** What the steps so far have established about the packet. */
  #version: 4 | 6 | undefined;
  #protocol: number | undefined;
  #looksAtProtocol = false;
  #ethernet = false;

  constructor(writer: MessageWriter, family: Table["family"]) {
    this.#writer = writer;
    this.#family = family;
    this.#version = family === "ip" ? 4 : family === "ip6" ? 6 : undefined;
  }

  step(step: Step): void {
    switch (step.kind) {
      case "match":
        return this.#match(step.field, step.value, step.negate === true);
      case "lookup":
        return this.#lookup(step.fields, step.set, step.negate === true);
      case "vmap":
        return this.#map(step.fields, step.map, nft.NFT_REG_VERDICT);
      case "ct-state":
        return this.#ctBits(
          nft.NFT_CT.STATE,
          step.states.reduce((bits, state) => bits | nft.CT_STATE[state], 0),
          step.negate,
        );
      case "ct-status":
        return this.#ctBits(nft.NFT_CT.STATUS, nft.CT_STATUS[step.status], step.negate);
      case "ct-direction":
        this.#load(FIRST, { kind: "ct", key: nft.NFT_CT.DIRECTION }, 1);
        return this.#compare(nft.NFT_CMP.EQ, Uint8Array.of(nft.CT_DIRECTION[step.direction]));
      case "tcp-flags":
        return this.#tcpFlags(step.mask, step.value, step.negate === true);
      case "mark":
        return this.#markBits(step.mask >>> 0, step.value >>> 0, step.negate === true);
      case "fib-local":
        return this.#fibLocal(step.address, step.negate === true);
      case "counter":
      case "notrack":
        return this.#expression(step.kind, () => {});
      case "masquerade":
        return this.#expression("masq", () => {});
      case "log":
        return this.#log(step);
      case "limit":
        return this.#limit(step.perSecond, step.burst);
      case "set-mark":
        return this.#setMark(step.value >>> 0, step.mask >>> 0);
      case "dnat":
        return this.#dnat(step);
      case "reject":
        return this.#reject();
      case "verdict":
        return this.#expression("immediate", () => {
          this.#writer.u32Be(nft.NFTA_IMMEDIATE.DREG, nft.NFT_REG_VERDICT);
          writeVerdict(this.#writer, nft.NFTA_IMMEDIATE.DATA, step.verdict);
        });
    }
  }

  #match(field: Field, value: string, negate: boolean): void {
    const spec = FIELDS[field];
    this.#require(field, spec.implies);
    const span = this.#named(field, () => parseValue(spec.type, value));
    if (!isRange(span)) this.#matchOne(spec, span.first, negate);
    else this.#matchRange(field, spec, span, negate);
    if (negate) return;
    if (field === "meta l4proto" && !isRange(span)) this.#protocol = span.first[0];
    if (field === "meta nfproto") this.#version = equalBytes(span.first, IPV4) ? 4 : 6;
  }

  #matchOne(spec: FieldSpec, value: Uint8Array, negate: boolean): void {
    this.#load(FIRST, spec.source, value.length);
    this.#compare(negate ? nft.NFT_CMP.NEQ : nft.NFT_CMP.EQ, value);
  }

  #matchRange(field: Field, spec: FieldSpec, span: Span, negate: boolean): void {
    const op = negate ? nft.NFT_CMP.NEQ : nft.NFT_CMP.EQ;
    if (spec.type === "ifname") return this.#matchWildcard(spec, span, op);
    const mask = spec.type === "ipv4_addr" || spec.type === "ipv6_addr" ? prefixMask(span) : undefined;
    this.#load(FIRST, spec.source, span.first.length);
    if (mask !== undefined) {
      this.#bitwise(mask, new Uint8Array(mask.length));
      this.#compare(op, span.first);
    } else if (negate) {
      this.#expression("range", () => {
        this.#writer.u32Be(nft.NFTA_RANGE.SREG, FIRST).u32Be(nft.NFTA_RANGE.OP, nft.NFT_RANGE_NEQ);
        this.#data(nft.NFTA_RANGE.FROM, span.first);
        this.#data(nft.NFTA_RANGE.TO, span.last);
      });
    } else {
      if (field === "meta nfproto") throw new RangeError(`\`${field}\` has no ranges`);
      this.#compare(nft.NFT_CMP.GTE, span.first);
      this.#compare(nft.NFT_CMP.LTE, span.last);
    }
  }

  /** Compares only the bytes before the `*`. */
  #matchWildcard(spec: FieldSpec, span: Span, op: number): void {
    this.#load(FIRST, spec.source, span.first.length);
    this.#compare(op, span.first.subarray(0, span.first.indexOf(0)));
  }

  #lookup(fields: readonly Field[], set: string, negate: boolean): void {
    const before = this.#looksAtProtocol;
    this.#concatenate(fields);
    this.#expression("lookup", () => {
      this.#writer.string(nft.NFTA_LOOKUP.SET, set).u32Be(nft.NFTA_LOOKUP.SREG, FIRST);
      if (negate) this.#writer.u32Be(nft.NFTA_LOOKUP.FLAGS, nft.NFT_LOOKUP_INV);
    });
    // Nothing is learnt about a packet that is not in the set.
    if (negate) this.#looksAtProtocol = before;
  }

  #map(fields: readonly Field[], map: string, register: number): void {
    const before = this.#looksAtProtocol;
    this.#concatenate(fields);
    this.#expression("lookup", () => {
      this.#writer.string(nft.NFTA_LOOKUP.SET, map).u32Be(nft.NFTA_LOOKUP.SREG, FIRST);
      this.#writer.u32Be(nft.NFTA_LOOKUP.DREG, register);
    });
    this.#looksAtProtocol = before;
  }

  /** Loads the fields one after another into the registers. */
  #concatenate(fields: readonly Field[]): void {
    if (fields.length === 0) throw new RangeError("a lookup needs a field");
    this.#looksAtProtocol ||= fields.includes("meta l4proto");
    for (const field of fields) this.#require(field, FIELDS[field].implies);
    let register = FIRST;
    for (const field of fields) {
      const spec = FIELDS[field];
      const length = lengthOf(spec.type);
      this.#load(register, spec.source, length);
      register += padded(length) / 4;
    }
    if (register > FIRST + 16) throw new RangeError("the fields of a lookup have more than 64 bytes");
  }

  /** The bits are tested, not compared: a packet has one state but can have several of the status bits. */
  #ctBits(key: number, bits: number, negate: boolean | undefined): void {
    if (bits === 0) throw new RangeError("a match of connection state needs a state");
    this.#load(FIRST, { kind: "ct", key }, 4);
    this.#bitwise(hostOrder(bits), hostOrder(0));
    this.#compare(negate === true ? nft.NFT_CMP.EQ : nft.NFT_CMP.NEQ, hostOrder(0));
  }

  #tcpFlags(mask: number, value: number, negate: boolean): void {
    if (!isByte(mask) || !isByte(value)) throw new RangeError("TCP flags are 0-255");
    this.#requireProtocol("tcp flags", TCP);
    this.#load(FIRST, { kind: "payload", base: nft.NFT_PAYLOAD.TRANSPORT, offset: 13 }, 1);
    this.#bitwise(Uint8Array.of(mask), Uint8Array.of(0));
    this.#compare(negate ? nft.NFT_CMP.NEQ : nft.NFT_CMP.EQ, Uint8Array.of(value));
  }

  #markBits(mask: number, value: number, negate: boolean): void {
    this.#load(FIRST, { kind: "meta", key: nft.NFT_META.MARK }, 4);
    this.#bitwise(hostOrder(mask), hostOrder(0));
    this.#compare(negate ? nft.NFT_CMP.NEQ : nft.NFT_CMP.EQ, hostOrder(value));
  }

  #fibLocal(address: "saddr" | "daddr", negate: boolean): void {
    this.#expression("fib", () => {
      this.#writer.u32Be(nft.NFTA_FIB.RESULT, nft.NFT_FIB_RESULT_ADDRTYPE);
      this.#writer.u32Be(nft.NFTA_FIB.FLAGS, nft.NFTA_FIB_F[address]);
      this.#writer.u32Be(nft.NFTA_FIB.DREG, FIRST);
    });
    this.#compare(negate ? nft.NFT_CMP.NEQ : nft.NFT_CMP.EQ, hostOrder(nft.RTN_LOCAL));
  }

  #log(step: Step & { kind: "log" }): void {
    checkText("a log prefix", step.prefix, 127);
    if (!(step.group >= 0 && step.group <= 65535)) throw new RangeError(`${step.group} is not a log group (0-65535)`);
    this.#expression("log", () => {
      this.#writer.string(nft.NFTA_LOG.PREFIX, step.prefix).u16Be(nft.NFTA_LOG.GROUP, step.group);
      this.#writer.u32Be(nft.NFTA_LOG.SNAPLEN, step.snaplen ?? DEFAULT_SNAPLEN);
    });
  }

  #limit(perSecond: number, burst: number): void {
    if (!(perSecond >= 1 && burst >= 1)) throw new RangeError("a limit and its burst are at least 1");
    this.#expression("limit", () => {
      this.#writer.u64Be(nft.NFTA_LIMIT.RATE, BigInt(perSecond)).u64Be(nft.NFTA_LIMIT.UNIT, 1n);
      this.#writer.u32Be(nft.NFTA_LIMIT.BURST, burst).u32Be(nft.NFTA_LIMIT.TYPE, 0).u32Be(nft.NFTA_LIMIT.FLAGS, 0);
    });
  }

  #setMark(value: number, mask: number): void {
    if (mask === 0xffffffff) {
      this.#expression("immediate", () => {
        this.#writer.u32Be(nft.NFTA_IMMEDIATE.DREG, FIRST);
        this.#data(nft.NFTA_IMMEDIATE.DATA, hostOrder(value));
      });
    } else {
      this.#load(FIRST, { kind: "meta", key: nft.NFT_META.MARK }, 4);
      this.#bitwise(hostOrder(~mask >>> 0), hostOrder((value & mask) >>> 0));
    }
    this.#expression("meta", () => {
      this.#writer.u32Be(nft.NFTA_META.KEY, nft.NFT_META.MARK).u32Be(nft.NFTA_META.SREG, FIRST);
    });
  }

  #dnat(step: Step & { kind: "dnat" }): void {
    // The kernel itself leaves packets of the other family alone.
    if (this.#version !== undefined && this.#version !== step.family) this.#requireVersion("dnat", step.family);
    this.#map(step.fields, step.map, FIRST);
    this.#expression("nat", () => {
      this.#writer.u32Be(nft.NFTA_NAT.TYPE, nft.NFT_NAT_DNAT);
      this.#writer.u32Be(nft.NFTA_NAT.FAMILY, step.family === 4 ? nft.FAMILY.ip : nft.FAMILY.ip6);
      this.#writer.u32Be(nft.NFTA_NAT.REG_ADDR_MIN, FIRST);
      this.#writer.u32Be(nft.NFTA_NAT.REG_PROTO_MIN, FIRST + (step.family === 4 ? 1 : 4));
    });
  }

  /** Port unreachable, in the packet's own family. */
  #reject(): void {
    const inet = this.#family === "inet";
    const code = inet ? 1 : this.#family === "ip" ? 3 : 4;
    this.#expression("reject", () => {
      this.#writer.u32Be(nft.NFTA_REJECT.TYPE, inet ? nft.NFT_REJECT.ICMPX_UNREACH : nft.NFT_REJECT.ICMP_UNREACH);
      this.#writer.u8(nft.NFTA_REJECT.ICMP_CODE, code);
    });
  }

  #require(what: string, implies: Implies | undefined): void {
    switch (implies) {
      case undefined:
        return;
      case "ipv4":
        return this.#requireVersion(what, 4);
      case "ipv6":
        return this.#requireVersion(what, 6);
      case "icmp":
        if (this.#protocol !== ICMP) this.#requireVersion(what, 4);
        return this.#requireProtocol(what, ICMP);
      case "icmpv6":
        if (this.#protocol !== ICMPV6) this.#requireVersion(what, 6);
        return this.#requireProtocol(what, ICMPV6);
      case "ports":
        return this.#requirePorts(what);
      case "arp":
        if (this.#family !== "arp") throw new RangeError(`\`${what}\` belongs into a table of the arp family`);
        return;
      case "ethernet":
        if (!this.#ethernet && this.#family !== "arp")
          this.#matchOne({ type: "arp_op", source: { kind: "meta", key: nft.NFT_META.IIFTYPE } }, ETHERNET, false);
        this.#ethernet = true;
    }
  }

  #requireVersion(what: string, version: 4 | 6): void {
    if (this.#version === version) return;
    if (this.#version !== undefined || this.#family === "arp")
      throw new RangeError(`\`${what}\` can never match here: the packet is not IPv${version}`);
    this.#matchOne(FIELDS["meta nfproto"], version === 4 ? IPV4 : IPV6, false);
    this.#version = version;
  }

  #requireProtocol(what: string, protocol: number): void {
    if (this.#protocol === protocol) return;
    if (this.#protocol !== undefined)
      throw new RangeError(`\`${what}\` can never match here: the protocol is ${this.#protocol}`);
    this.#matchOne(FIELDS["meta l4proto"], Uint8Array.of(protocol), false);
    this.#protocol = protocol;
  }

  /** Without it the first bytes of an ICMP message would be taken for ports. */
  #requirePorts(what: string): void {
    if (this.#looksAtProtocol) return;
    if (this.#protocol === undefined)
      throw new RangeError(`\`${what}\` needs a match of \`meta l4proto\` in front of it`);
    if (!WITH_PORTS.includes(this.#protocol))
      throw new RangeError(`\`${what}\` can never match here: protocol ${this.#protocol} has no ports`);
  }

  #load(register: number, source: FieldSpec["source"], length: number): void {
    const writer = this.#writer;
    this.#expression(source.kind, () => {
      switch (source.kind) {
        case "meta":
          writer.u32Be(nft.NFTA_META.KEY, source.key).u32Be(nft.NFTA_META.DREG, register);
          return;
        case "ct":
          writer.u32Be(nft.NFTA_CT.KEY, source.key).u32Be(nft.NFTA_CT.DREG, register);
          return;
        case "payload":
          writer.u32Be(nft.NFTA_PAYLOAD.DREG, register).u32Be(nft.NFTA_PAYLOAD.BASE, source.base);
          writer.u32Be(nft.NFTA_PAYLOAD.OFFSET, source.offset).u32Be(nft.NFTA_PAYLOAD.LEN, length);
      }
    });
  }

  #compare(op: number, value: Uint8Array): void {
    this.#expression("cmp", () => {
      this.#writer.u32Be(nft.NFTA_CMP.SREG, FIRST).u32Be(nft.NFTA_CMP.OP, op);
      this.#data(nft.NFTA_CMP.DATA, value);
    });
  }

  #bitwise(mask: Uint8Array, xor: Uint8Array): void {
    this.#expression("bitwise", () => {
      this.#writer.u32Be(nft.NFTA_BITWISE.SREG, FIRST).u32Be(nft.NFTA_BITWISE.DREG, FIRST);
      this.#writer.u32Be(nft.NFTA_BITWISE.LEN, mask.length);
      this.#data(nft.NFTA_BITWISE.MASK, mask);
      this.#data(nft.NFTA_BITWISE.XOR, xor);
    });
  }

  #data(attribute: number, value: Uint8Array): void {
    this.#writer.nest(attribute, () => this.#writer.bytes(nft.NFTA_DATA.VALUE, value));
  }

  #expression(name: string, write: () => void): void {
    this.#writer.nest(nft.NFTA_LIST_ELEM, () => {
      this.#writer.string(nft.NFTA_EXPR.NAME, name);
      this.#writer.nest(nft.NFTA_EXPR.DATA, write);
    });
  }

  #named<T>(what: string, parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      throw error instanceof RangeError ? new RangeError(`\`${what}\`: ${error.message}`) : error;
    }
  }
}

/** Printable ASCII without quotes, because `nft list` prints it between quotes and knows no escapes. Throws RangeError. */
export function checkText(what: string, text: string, max: number): void {
  if (text.length > max) throw new RangeError(`${what} may have ${max} bytes, not ${text.length}`);
  if (!/^[ !#-[\]-~]*$/.test(text))
    throw new RangeError(`${what} must be printable ASCII without quotes and backslashes`);
}

/** Mask of the CIDR that is exactly the span; undefined where there is none. */
function prefixMask(span: Span): Uint8Array | undefined {
  const mask = span.first.map((byte, i) => ~(byte ^ (span.last[i] ?? 0)) & 255);
  const bits = [...mask].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const aligned = span.first.every((byte, i) => (byte & ~(mask[i] ?? 0)) === 0);
  return /^1*0*$/.test(bits) && aligned ? mask : undefined;
}

function hostOrder(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

function isByte(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 255;
}
