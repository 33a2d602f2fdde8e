/**
 * `kind: PolicyTest`: a team's own expectations about its policies, in a file. Read and checked here; run by `manx test`.
 *
 * A test has endpoints and resources, then steps. Each step first changes something, then says of flows whether they must be
 * allowed or denied. A test with one step may say `flows:` without `steps:`.
 */
import { z } from "zod";
import { ipAddress, protocol, protocolNamed, textThat, wholeNumber } from "./fields.ts";
import { type Finding, findingsOf } from "./issues.ts";
import { fieldsIn, type JsonSchema } from "./json-schema.ts";
import { KINDS } from "./kinds.ts";
import { field, listField, type Segment, textField } from "./loose.ts";
import { whyNotNamespace } from "./names.ts";
import { type FileItem, type FileProblem, parseItems, parseResources, type TakeAside } from "./parse.ts";
import { checkReferences } from "./policy-test-references.ts";
import type { AnyResource, IcmpMatch, Kind, Protocol } from "./resources.ts";
import { checkResource } from "./validate.ts";

export interface PolicyTest {
  readonly name: string;
  readonly endpoints: readonly TestEndpoint[];
  readonly resources: readonly AnyResource[];
  /** Files and folders of more resources, relative to the test's own file. */
  readonly files: readonly string[];
  /** Labels of namespaces. */
  readonly namespaces: readonly TestNamespace[];
  readonly steps: readonly TestStep[];
}

export interface TestEndpoint {
  readonly name: string;
  readonly namespace: string;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** In order. */
  readonly profiles: readonly string[];
  readonly ports: Readonly<Record<string, { readonly protocol: Protocol; readonly port: number }>>;
  /** A peer that Manx does not manage: no policy stands in front of it. */
  readonly external: boolean;
}

export interface TestNamespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The changes come in this order, then the flows. */
export interface TestStep {
  readonly apply: readonly AnyResource[];
  readonly namespaces: readonly TestNamespace[];
  readonly delete: readonly { readonly kind: Kind; readonly name: string; readonly namespace?: string }[];
  /** The endpoint's whole new label set. */
  readonly setLabels: readonly { readonly endpoint: string; readonly labels: Readonly<Record<string, string>> }[];
  readonly addEndpoints: readonly TestEndpoint[];
  readonly removeEndpoints: readonly string[];
  readonly flows: readonly TestFlow[];
}

/** Endpoints are named by name, or `namespace/name` where two share one. */
export interface TestFlow {
  readonly from: string;
  readonly to: string;
  readonly protocol: Protocol;
  readonly port?: number;
  readonly sourcePort?: number;
  readonly icmp?: IcmpMatch;
  /** Without it every IP version that both ends have an address of. */
  readonly ipVersion?: 4 | 6;
  readonly expect: "allow" | "deny";
}

export interface ParsedTests {
  readonly tests: readonly PolicyTest[];
  readonly problems: readonly FileProblem[];
}

/** Reads a file of tests. A document of another kind is a problem: resources go into `resources` or `files`. */
export function parsePolicyTests(text: string, file: string): ParsedTests {
  const { values, problems } = parseItems(text, file);
  const tests: PolicyTest[] = [];
  for (const item of values) {
    const read = readTest(item);
    if (read.ok) tests.push(read.test);
    else problems.push(...read.problems);
  }
  return { tests, problems };
}

/** Also `tcp` and `icmpv6`: a test is not a policy, where Calico wants its own spelling. */
const anyProtocol = z.preprocess(
  (value) => (typeof value === "string" ? (protocolNamed(value) ?? value) : value),
  protocol,
);

const texts = z.record(z.string(), z.string());
const list = <T extends z.ZodType>(item: T, description: string) => z.array(item).default([]).meta({ description });
const resource = z.looseObject({}).meta({ description: "A resource" });

const EndpointSchema = z
  .strictObject({
    name: z.string().min(1).meta({ description: "Its name in the test" }),
    namespace: textThat(whyNotNamespace).default("default").meta({ description: "Its namespace" }),
    addresses: z.array(ipAddress).min(1).meta({ description: "Its addresses" }),
    labels: texts.default({}).meta({ description: "Its labels" }),
    profiles: list(z.string(), "Its profiles, in order"),
    ports: z
      .record(
        z.string(),
        z.strictObject({
          protocol: anyProtocol.meta({ description: "TCP, UDP or SCTP" }),
          port: wholeNumber(1, 65535).meta({ description: "Its number" }),
        }),
      )
      .default({})
      .meta({ description: "Named ports" }),
    external: z.boolean().default(false).meta({ description: "A peer outside: nothing stands in front of it" }),
  })
  .meta({ description: "An endpoint" });

const FlowSchema = z
  .strictObject({
    from: z.string().meta({ description: "The endpoint that opens the connection" }),
    to: z.string().meta({ description: "The endpoint it goes to" }),
    protocol: anyProtocol.default("TCP").meta({ description: "Name or number of the protocol" }),
    port: wholeNumber(1, 65535).exactOptional().meta({ description: "Destination port" }),
    sourcePort: wholeNumber(1, 65535).exactOptional().meta({ description: "Source port" }),
    icmp: z
      .strictObject({
        type: wholeNumber(0, 255).exactOptional().meta({ description: "ICMP type" }),
        code: wholeNumber(0, 255).exactOptional().meta({ description: "ICMP code" }),
      })
      .exactOptional()
      .meta({ description: "Type and code of an ICMP packet" }),
    ipVersion: z
      .union([z.literal(4), z.literal(6)])
      .exactOptional()
      .meta({ description: "Only this IP version" }),
    expect: z.enum(["allow", "deny"]).meta({ description: "What must come out" }),
  })
  .meta({ description: "A flow and what must become of it" });

const flows = list(FlowSchema, "Flows and what must become of them");
const namespaces = list(
  z.strictObject({ name: textThat(whyNotNamespace), labels: texts.default({}) }),
  "Labels of namespaces",
);

const StepSchema = z
  .strictObject({
    apply: list(resource, "Resources to create or replace"),
    namespaces,
    delete: list(
      z.strictObject({
        kind: z.enum(KINDS.map(({ kind }) => kind)),
        name: z.string(),
        namespace: z.string().exactOptional(),
      }),
      "Resources to delete",
    ),
    setLabels: list(z.strictObject({ endpoint: z.string(), labels: texts }), "Endpoints that get a new label set"),
    addEndpoints: list(EndpointSchema, "Endpoints that come"),
    removeEndpoints: list(z.string(), "Endpoints that go"),
    flows,
  })
  .meta({ description: "Changes, then flows" });

export const PolicyTestSchema = z
  .strictObject({
    apiVersion: z.literal("manx/v1").meta({ description: "Version of the format" }),
    kind: z.literal("PolicyTest").meta({ description: "What it is" }),
    metadata: z.looseObject({ name: z.string().min(1) }).meta({ description: "Its name" }),
    endpoints: list(EndpointSchema, "The endpoints there are"),
    resources: list(resource, "The resources in force; a Namespace gives a namespace labels"),
    files: list(z.string(), "Files and folders with more resources and Namespaces, seen from this file"),
    namespaces,
    steps: list(StepSchema, "What happens, in order"),
    flows,
  })
  .meta({ description: "Expectations about policies", title: "PolicyTest" });

/** For editors. */
export function policyTestJsonSchema(): JsonSchema {
  return z.toJSONSchema(PolicyTestSchema, { io: "input", unrepresentable: "any" }) as JsonSchema;
}

type Read =
  | { readonly ok: true; readonly test: PolicyTest }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

function readTest(item: FileItem): Read {
  const { value } = item;
  if (textField(value, "kind") !== "PolicyTest" || textField(value, "apiVersion") !== "manx/v1")
    return {
      ok: false,
      problems: [item.locate({ segments: ["kind"], message: "a PolicyTest of manx/v1 is expected here" })],
    };
  const findings: Finding[] = [];
  const parsed = PolicyTestSchema.safeParse(value);
  if (!parsed.success)
    findings.push(...findingsOf(parsed.error.issues, value, (at) => fieldsIn(policyTestJsonSchema(), at)));
  const resources = readResources(listField(value, "resources"), ["resources"], findings);
  const applied = listField(value, "steps").map((step, index) =>
    readResources(listField(step, "apply"), ["steps", index, "apply"], findings),
  );
  if (field(value, "steps") !== undefined && field(value, "flows") !== undefined)
    findings.push({ segments: ["flows"], message: "belong into a step where there are steps" });
  if (parsed.success) checkReferences(parsed.data, findings);
  if (!parsed.success || findings.length > 0)
    return { ok: false, problems: findings.map((finding) => item.locate(finding)) };
  return { ok: true, test: assemble(parsed.data, resources, applied) };
}

type TestData = z.output<typeof PolicyTestSchema>;

interface ReadResources {
  readonly resources: readonly AnyResource[];
  readonly namespaces: readonly TestNamespace[];
}

export interface ParsedTestResources extends ReadResources {
  readonly problems: readonly FileProblem[];
}

function readResources(values: readonly unknown[], at: readonly Segment[], findings: Finding[]): ReadResources {
  const resources: AnyResource[] = [];
  const namespaces: TestNamespace[] = [];
  for (const [index, value] of values.entries()) {
    const here = [...at, index];
    if (textField(value, "kind") === "Namespace") {
      const namespace = readNamespace(value);
      if (namespace === undefined) findings.push({ segments: [...here, "metadata"], message: NO_NAMESPACE });
      else namespaces.push(namespace);
      continue;
    }
    const checked = checkResource(value);
    if (checked.ok) resources.push(checked.resource);
    else findings.push(...checked.findings.map((one) => ({ ...one, segments: [...here, ...one.segments] })));
  }
  return { resources, namespaces };
}

const NO_NAMESPACE = "a Namespace has a name and labels";

function readNamespace(value: unknown): TestNamespace | undefined {
  const metadata = z
    .looseObject({ name: textThat(whyNotNamespace), labels: texts.default({}) })
    .safeParse(field(value, "metadata"));
  return metadata.success ? { name: metadata.data.name, labels: metadata.data.labels } : undefined;
}

/** Reads one of a test's `files`: resources and Namespaces. Tests beside them are left to whoever names their file. */
export function parseTestResources(text: string, file: string): ParsedTestResources {
  const namespaces: TestNamespace[] = [];
  const aside: TakeAside = (item) => {
    const kind = textField(item.value, "kind");
    if (kind === "PolicyTest") return [];
    if (kind !== "Namespace") return undefined;
    const namespace = readNamespace(item.value);
    if (namespace === undefined) return [item.locate({ segments: ["metadata"], message: NO_NAMESPACE })];
    namespaces.push(namespace);
    return [];
  };
  const { resources, problems } = parseResources(text, file, { aside });
  return { resources, namespaces, problems };
}

function assemble(data: TestData, first: ReadResources, applied: readonly ReadResources[]): PolicyTest {
  const bare = { apply: [], namespaces: [], delete: [], setLabels: [], addEndpoints: [], removeEndpoints: [] };
  const steps = data.steps.map((step, index) => ({
    ...step,
    apply: applied[index]?.resources ?? [],
    namespaces: [...step.namespaces, ...(applied[index]?.namespaces ?? [])],
  }));
  return {
    name: data.metadata.name,
    endpoints: data.endpoints,
    resources: first.resources,
    files: data.files,
    namespaces: [...data.namespaces, ...first.namespaces],
    steps: steps.length > 0 ? steps : [{ ...bare, flows: data.flows }],
  };
}
