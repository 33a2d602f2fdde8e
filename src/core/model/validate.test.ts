import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { calico, judge, long, table } from "./table.test.ts";
import { validateResource } from "./validate.ts";

const poolWith = (metadata: unknown) => calico("IPPool", { cidr: "1.2.3.0/26" }, metadata as object);
table("metadata", poolWith, [
  ["a label", `{name: pool.name, labels: {projectcalico.org/label: ${long(63)}}}`],
  ["a label with a capital", "{name: pool.name, labels: {projectcalico.org/Label: value}}"],
  ["an empty label", `{name: pool.name, labels: {a: "", b: null}}`],
  ["a value of 64 characters", `{name: pool.name, labels: {a: ${long(64)}}}`, "metadata.labels.a: at most 63"],
  [
    "a capital in the domain",
    "{name: pool.name, labels: {ProjectCalico.org/label: value}}",
    `metadata.labels["ProjectCalico.org/label"]`,
  ],
  ["two slashes", "{name: pool.name, labels: {a/b/c: value}}", `metadata.labels["a/b/c"]: at most one "/"`],
  ["an empty prefix", "{name: pool.name, labels: {/c: value}}", `metadata.labels["/c"]`],
  ["a key that begins with a dot", "{name: pool.name, labels: {.mylabel: value}}", `metadata.labels[".mylabel"]`],
  ["a value with a space", "{name: pool.name, labels: {a: b c}}", "metadata.labels.a"],
  ["a number as label", "{name: pool.name, labels: {a: 1.0}}", `metadata.labels.a: write "1"`],
  ["a list of labels", "{name: pool.name, labels: [a]}", "metadata.labels: a map of names to text is expected"],
  ["annotations", `{name: pool.name, annotations: {ProjectCalico.org/Label: "any text { at all\\n"}}`],
  [
    "a bad key of annotations",
    "{name: pool.name, annotations: {projectcalico.org$label: value}}",
    `metadata.annotations["projectcalico.org$label"]`,
  ],
  ["annotations of 256 kB", `{name: pool.name, annotations: {key: ${long(256 * 1024 - 3)}}}`],
  [
    "annotations of more",
    `{name: pool.name, annotations: {key: ${long(256 * 1024 - 2)}}}`,
    "metadata.annotations: 262145",
  ],
  [
    "what Kubernetes keeps there",
    "{name: a, generation: 3, managedFields: [{a: 1}], finalizers: [x], ownerReferences: [], selfLink: /a, creationTimestamp: null, uid: u, resourceVersion: '7'}",
  ],
  ["a namespace where there are none", "{name: a, namespace: default}", "metadata.namespace: leave it out"],
  ["an empty namespace where there are none", `{name: a, namespace: ""}`],
  ["a time", `{name: a, creationTimestamp: "2026-01-31T12:00:00Z"}`],
  ["a time that is none", "{name: a, creationTimestamp: yesterday}", "metadata.creationTimestamp"],
  ["generateName", "{generateName: a}", "metadata.name: is missing"],
  ["generateName beside a name, as in what Kubernetes has made", "{name: a-x7, generateName: a-, clusterName: c}"],
  ["an unknown field", "{name: a, lables: {}}", "metadata.lables: did you mean labels?"],
  ["an unknown field without a value", "{name: a, lables: }", "metadata.lables: did you mean labels?"],
  ["what Kubernetes keeps there, without a value", "{name: a, managedFields: , labels: , clusterName: null}"],
  ["text", "foo", "metadata: a map of fields is expected"],
]);
table("a namespace", (namespace) => calico("NetworkPolicy", {}, { name: "a", namespace }), [
  ["shop", "shop"],
  ["the names of compose projects", "my_shop-2"],
  ["capitals", "Shop", "metadata.namespace"],
  ["a slash", "a/b", "metadata.namespace"],
  ["nothing, which is default", `""`],
]);

table("a resource", (value) => value, [
  ["a list", "[]", ": is not a resource"],
  ["text", "foo", ": is not a resource"],
  ["an empty map", "{}", "kind: is missing", "apiVersion: is missing"],
  ["another kind", "{apiVersion: projectcalico.org/v3, kind: Foo, metadata: {name: a}}", "kind: known are"],
  ["a kind in lower case", "{apiVersion: projectcalico.org/v3, kind: ippool}", "kind: write IPPool"],
  [
    "a kind of Calico that we have no use for",
    "{apiVersion: projectcalico.org/v3, kind: ClusterInformation}",
    "kind: not used here",
  ],
  ["a kind named like a method", "{apiVersion: projectcalico.org/v3, kind: constructor}", "kind"],
  [
    "Kubernetes' NetworkPolicy",
    "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy}",
    "apiVersion: belongs to Kubernetes",
  ],
  ["a pod", "{apiVersion: v1, kind: Pod}", "apiVersion: belongs to Kubernetes"],
  [
    "the wrong version",
    "{apiVersion: manx/v1, kind: IPPool, metadata: {name: a}}",
    "apiVersion: write projectcalico.org/v3",
  ],
  [
    "Calico's stored version",
    "{apiVersion: crd.projectcalico.org/v1, kind: IPPool}",
    "apiVersion: write projectcalico.org/v3",
  ],
  ["a kind that is a list", "{apiVersion: projectcalico.org/v3, kind: [IPPool]}", "kind: this is not text"],
  [
    "an unknown part",
    "{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: a}, sepc: {}}",
    "sepc: did you mean spec?",
  ],
]);

describe("hostile values", () => {
  it("have their __proto__ refused, and leave the prototype alone", () => {
    const value: unknown = JSON.parse(
      `{"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"a","labels":{"__proto__":"x"}},"spec":{"__proto__":{"order":1}}}`,
    );
    judge(value, ["metadata.labels.__proto__: not a name", "spec.__proto__: not a name"]);
    assert.equal(({} as { order?: number }).order, undefined);
  });
  it("may be nested as deep as they like", () => {
    let deep: unknown = {};
    for (let i = 0; i < 100_000; i++) deep = { a: deep };
    judge(calico("Tier", deep), ["spec.a.a.a.a.a.a.a: nested", "spec.a"]);
  });
  it("do not inherit fields", () =>
    judge(calico("IPPool", Object.create({ cidr: "10.0.0.0/16" })), ["spec.cidr: is missing"]));
  it("of a strange kind of object are no trouble", () => {
    for (const value of [null, undefined, 1, "x", [], new Map(), () => {}, Symbol("x"), new Date(0), 10n])
      assert.equal(validateResource(value).ok, false);
  });
});
