/** The profile that Calico has in every cluster (libcalico-go/lib/resources): endpoints may name it without anybody having made it. */
import type { Profile } from "./resources.ts";

export const DEFAULT_ALLOW: Profile = {
  apiVersion: "projectcalico.org/v3",
  kind: "Profile",
  metadata: { name: "projectcalico-default-allow" },
  spec: { ingress: [{ action: "Allow" }], egress: [{ action: "Allow" }] },
};
