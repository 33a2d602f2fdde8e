/**
 * A look into a value that may be anything. The checks that need two fields run beside the schema, on the same unchecked
 * input, so that all problems of a file come at once; what is not of the expected type is as if it were not there, because
 * the schema complains about it anyway.
 */
export type Segment = string | number;
export type Report = (segments: readonly Segment[], message: string) => void;

export function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

export function textField(value: unknown, name: string): string | undefined {
  const found = field(value, name);
  return typeof found === "string" ? found : undefined;
}

export function listField(value: unknown, name: string): readonly unknown[] {
  const found = field(value, name);
  return Array.isArray(found) ? found : [];
}

export function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
}

export function isTrue(value: unknown, name: string): boolean {
  return field(value, name) === true;
}
