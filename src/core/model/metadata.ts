/** `metadata`, the same for all kinds but for what a name may be and whether there is a namespace. */
import { z } from "zod";
import { textThat } from "./fields.ts";
import { quote, whyNotNamespace } from "./names.ts";

const NAMESPACE = textThat(whyNotNamespace)
  .exactOptional()
  .meta({ description: "Its namespace: the name of a compose project, or default", default: "default" });

/** RFC 3339, as Go reads and prints it. */
const TIME = textThat((text) =>
  /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/.test(text) && !Number.isNaN(Date.parse(text))
    ? undefined
    : `${quote(text)} is not a time like "2026-01-31T12:00:00Z"`,
);

/** Of one kind. What Kubernetes keeps there is put up with, because it stands in what people copy out of it. */
export function metadataSchema(namespaced: boolean, whyNot: (name: string) => string | undefined) {
  const texts = z.record(z.string(), z.string());
  const ignored = z.unknown().optional().meta({ description: "Ignored: kept by Kubernetes" });
  return z
    .strictObject({
      name: textThat(whyNot).meta({ description: "Its name" }),
      ...(namespaced ? { namespace: NAMESPACE } : {}),
      labels: texts.exactOptional().meta({ description: "Names and values by which selectors find it" }),
      annotations: texts.exactOptional().meta({ description: "Free text for people and tools" }),
      uid: z.string().exactOptional().meta({ description: "Given by Manx" }),
      creationTimestamp: TIME.exactOptional().meta({ description: "When it was made; given by Manx" }),
      resourceVersion: z
        .string()
        .exactOptional()
        .meta({ description: "The version that a change is based on; given by Manx" }),
      generateName: ignored,
      clusterName: ignored,
      generation: ignored,
      selfLink: ignored,
      managedFields: ignored,
      ownerReferences: ignored,
      finalizers: ignored,
      deletionTimestamp: ignored,
      deletionGracePeriodSeconds: ignored,
    })
    .meta({ description: "Name, labels and notes" });
}
