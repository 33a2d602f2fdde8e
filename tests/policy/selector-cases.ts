/** Rows of the table of policy cases: selectors, namespaces, profiles' labels, sets of nets. */
import type { PolicyRule } from "../../src/core/model/resources.ts";
import { db, globalSet, gnp, gold, np, profile, type Row, sql } from "./cases.ts";

export const SELECTOR_ROWS: readonly Row[] = [
  [
    "allow by selector and port",
    db(sql as PolicyRule),
    [
      "web db tcp 5432 allow",
      "farweb db tcp 5432 allow",
      "web db tcp 5433 deny",
      "web db udp 5432 deny",
      "lone1 db tcp 5432 deny",
    ],
  ],
  [
    "labels come from profiles, own ones win",
    {
      profiles: [gold],
      ...db(
        { action: "Allow", protocol: "TCP", source: { selector: "grade == 'gold'" } },
        { action: "Allow", protocol: "UDP", source: { selector: "role == 'profile'" } },
      ),
    },
    ["web db tcp 1 deny", "web db udp 1 deny"],
  ],
  [
    "of two profiles the first gives the label that both have",
    {
      profiles: [
        profile("gold", { labelsToApply: { grade: "gold", first: "gold" } }),
        profile("apps", { labelsToApply: { grade: "apps", second: "apps" } }),
      ],
      ...db(
        { action: "Allow", protocol: "TCP", source: { selector: "grade == 'gold' && has(second)" } },
        { action: "Allow", protocol: "UDP", source: { selector: "grade == 'apps'" } },
      ),
    },
    ["shop db tcp 1 allow", "shop db udp 1 deny"],
  ],
  [
    "a named port of those whose label a profile gives, and whom a policy finds by it",
    {
      profiles: [profile("gold", { labelsToApply: { inherited: "yes" } })],
      policies: [
        gnp("p", {
          selector: "inherited == 'yes' || role == 'db'",
          ingress: [
            { action: "Allow", protocol: "TCP", destination: { selector: "inherited == 'yes'", ports: ["goldport"] } },
            { action: "Allow", protocol: "TCP", destination: { selector: "role == 'db'", ports: ["goldport", "sql"] } },
          ],
        }),
      ],
    },
    ["web shop tcp 7001 allow", "web shop tcp 7002 allow", "web shop tcp 5432 deny", "web db tcp 5432 allow"],
  ],
  [
    "a namespaced policy governs and means its own namespace",
    {
      profiles: [profile("gold", { ...gold.spec, egress: [{ action: "Allow" }] })],
      policies: [
        np("p", "default", {
          selector: "has(role)",
          ingress: [{ action: "Allow", source: { selector: "role == 'web'" } }],
        }),
      ],
    },
    ["web db tcp 1 allow", "shop db tcp 1 deny", "db shop tcp 1 allow", "db web tcp 1 deny"],
  ],
  [
    "a namespaceSelector looks into other namespaces",
    {
      profiles: [profile("gold", { egress: [{ action: "Allow" }] })],
      policies: [
        np("p", "default", {
          selector: "role == 'db'",
          ingress: [
            {
              action: "Allow",
              source: { selector: "role == 'web'", namespaceSelector: "projectcalico.org/name == 'shop'" },
            },
          ],
        }),
      ],
    },
    ["shop db tcp 1 allow", "web db tcp 1 deny"],
  ],
  [
    "all() means any namespace, global() none",
    {
      networkSets: [globalSet("out", { place: "out" }, ["198.51.100.0/24", "2001:db8:1::/64"])],
      policies: [
        np("p", "default", {
          selector: "role == 'db'",
          ingress: [
            { action: "Allow", protocol: "TCP", source: { namespaceSelector: "all()" } },
            { action: "Allow", protocol: "UDP", source: { namespaceSelector: "global()" } },
          ],
        }),
      ],
    },
    ["web db tcp 1 allow", "internet db tcp 1 deny", "internet db udp 1 allow", "web db udp 1 deny"],
  ],
  [
    "notSelector alone keeps a namespaced rule in its namespace",
    {
      profiles: [profile("gold", { egress: [{ action: "Allow" }] })],
      policies: [
        np("p", "default", {
          selector: "role == 'db'",
          ingress: [{ action: "Allow", source: { notSelector: "role == 'other'" } }],
        }),
      ],
    },
    ["web db tcp 1 allow", "other db tcp 1 deny", "shop db tcp 1 deny", "internet db tcp 1 deny"],
  ],
  [
    "beside a selector, a notSelector excludes what it selects, and not what else has the address",
    {
      networkSets: [
        globalSet("outer", { place: "out" }, ["198.51.100.0/24", "2001:db8:1::/64"]),
        globalSet("inner", { place: "out", bad: "yes" }, ["198.51.100.7", "2001:db8:1::7"]),
        globalSet("lan", { place: "out", bad: "yes" }, ["203.0.113.0/24", "2001:db8:2::/64"]),
      ],
      ...db(
        { action: "Allow", protocol: "TCP", source: { selector: "place == 'out'", notSelector: "has(bad)" } },
        { action: "Allow", protocol: "UDP", source: { notSelector: "has(bad)" } },
      ),
    },
    [
      "internet db tcp 1 allow",
      "lan db tcp 1 deny",
      "web db tcp 1 deny",
      "internet db udp 1 deny",
      "lan db udp 1 deny",
      "web db udp 1 allow",
    ],
  ],
  [
    "so does a notSelector of a namespaced rule, which means its namespace",
    {
      networkSets: [globalSet("bad", { bad: "yes" }, ["10.65.0.0/24", "fd65::/64"])],
      policies: [
        np("p", "default", {
          selector: "role == 'db'",
          ingress: [
            { action: "Allow", protocol: "TCP", source: { notSelector: "has(bad)" } },
            { action: "Allow", protocol: "UDP", source: { namespaceSelector: "all()", notSelector: "role == 'duo'" } },
          ],
        }),
        gnp("q", { selector: "role == 'web'", ingress: [{ action: "Allow", source: { notSelector: "has(bad)" } }] }),
      ],
    },
    [
      "web db tcp 1 allow",
      "internet db tcp 1 deny",
      "web db udp 1 allow",
      "duo1 db udp 1 deny",
      "db web tcp 1 deny",
      "internet web tcp 1 allow",
    ],
  ],
  [
    "names in notPorts are those of whom the rule selects, as in ports",
    {
      networkSets: [globalSet("lan", { place: "lan" }, ["10.65.0.0/24", "fd65::/64"])],
      policies: [
        gnp("p", {
          selector: "role == 'web'",
          egress: [
            { action: "Allow", protocol: "TCP", destination: { selector: "place == 'lan'", notPorts: ["sql"] } },
            { action: "Allow", protocol: "UDP", destination: { notPorts: ["stats"] } },
          ],
        }),
      ],
    },
    [
      "web db tcp 5432 allow",
      "web db tcp 1 allow",
      "web internet tcp 1 deny",
      "web db udp 5432 deny",
      "web db udp 1 allow",
      "web internet udp 5432 allow",
    ],
  ],
  [
    "nets alone are not bound to the namespace",
    {
      policies: [
        np("p", "default", {
          selector: "role == 'db'",
          ingress: [{ action: "Allow", source: { nets: ["198.51.100.7/32", "2001:db8:1::7"] } }],
        }),
      ],
    },
    ["internet db tcp 1 allow", "web db tcp 1 deny"],
  ],
  [
    "a policy applies to a namespace by its namespaceSelector",
    {
      profiles: [profile("gold", { ingress: [{ action: "Allow" }] })],
      policies: [gnp("p", { namespaceSelector: "projectcalico.org/name == 'shop'" })],
    },
    ["web shop tcp 1 deny", "web db tcp 1 allow"],
  ],
  [
    "network sets are matched by their labels, overlapping nets and all",
    {
      networkSets: [globalSet("bad", { bad: "yes" }, ["198.51.100.0/24", "198.51.100.7", "2001:db8::/32"])],
      policies: [
        gnp("p", {
          selector: "role == 'web'",
          egress: [{ action: "Deny", destination: { selector: "bad == 'yes'" } }, { action: "Allow" }],
        }),
      ],
    },
    ["web internet tcp 443 deny", "web db tcp 443 allow", "db internet tcp 443 allow"],
  ],
  [
    "nets of two network sets that are one net, with bits of a host",
    {
      networkSets: [
        globalSet("one", { bad: "yes" }, ["198.51.100.9/24", "2001:db8:1::9/64"]),
        globalSet("two", { bad: "yes" }, ["198.51.100.200/24", "2001:db8:1::2/64"]),
      ],
      ...db({ action: "Allow", source: { selector: "bad == 'yes'" } }),
    },
    ["internet db tcp 1 allow", "lan db tcp 1 deny"],
  ],
  [
    "an empty value is a value: of a label that is there",
    {
      profiles: [gold],
      ...db(
        { action: "Allow", protocol: "TCP", source: { selector: "has(empty)" } },
        { action: "Allow", protocol: "UDP", source: { selector: "empty == '' && role != 'x'" } },
      ),
    },
    ["shop db tcp 1 allow", "shop db udp 1 allow", "web db tcp 1 deny", "web db udp 1 deny"],
  ],
  [
    "0.0.0.0/0 in a network set is everything",
    {
      networkSets: [globalSet("all", { all: "yes" }, ["0.0.0.0/0", "::/0", "10.0.0.0/8"])],
      ...db({ action: "Allow", protocol: "TCP", source: { selector: "all == 'yes'" } }),
    },
    ["internet db tcp 1 allow", "other db tcp 1 allow", "web db udp 1 deny"],
  ],
];
