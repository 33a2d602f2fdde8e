/** What is asked at the moment of a scrape, as plain values. */
import type { RuleTraffic } from "../../core/flows/rule-traffic.ts";

export interface MetricFacts {
  readonly version: string;
  readonly host: string;
  readonly conditions: readonly { readonly code: string; readonly severity: string }[];
  readonly rules: readonly RuleTraffic[];
  readonly drops: ReadonlyMap<string, number>;
  /** Seconds since the counters were read; undefined: not yet. */
  readonly countersAge: number | undefined;
  /** Of this host, by network. */
  readonly endpoints: ReadonlyMap<string, number>;
  readonly flows: {
    readonly seen: ReadonlyMap<string, number>;
    readonly lost: number;
    readonly forgotten: number;
    readonly kept: number;
  };
  readonly store: { readonly up: boolean; readonly revision: number };
  readonly resources: ReadonlyMap<string, number>;
  readonly pools: readonly PoolFacts[];
  readonly sessions: readonly SessionFacts[];
}

export interface PoolFacts {
  readonly name: string;
  readonly size: number;
  readonly blocks: number;
  readonly blockAddresses: number;
  readonly used: number;
  /** In the blocks of this host. */
  readonly free: number;
}

export interface SessionFacts {
  readonly name: string;
  readonly peer: string;
  readonly state: string;
  readonly routes: readonly {
    readonly family: 4 | 6;
    readonly accepted: number;
    readonly refused: number;
    readonly announced: number;
  }[];
}
