/** What Calico has in every cluster (libcalico-go/lib/resources, lib/clientv3): it is there without anybody having made it. */
import type { Profile, Tier } from "./resources.ts";

/** Endpoints may name it. */
export const DEFAULT_ALLOW: Profile = {
  apiVersion: "projectcalico.org/v3",
  kind: "Profile",
  metadata: { name: "projectcalico-default-allow" },
  spec: { ingress: [{ action: "Allow" }], egress: [{ action: "Allow" }] },
};

/** Policies that name no tier are in it. */
export const DEFAULT_TIER: Tier = {
  apiVersion: "projectcalico.org/v3",
  kind: "Tier",
  metadata: { name: "default" },
  spec: { order: 1_000_000, defaultAction: "Deny" },
};

export const BUILT_IN: readonly (Profile | Tier)[] = [DEFAULT_ALLOW, DEFAULT_TIER];
