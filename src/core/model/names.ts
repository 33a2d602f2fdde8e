/**
 * What may be called what: names of resources, labels, annotations, ports, interfaces, with Calico's and Kubernetes' limits
 * (libcalico-go's validator, k8s.io/apimachinery/pkg/util/validation). Each function answers why a text is refused, or
 * undefined if it is good.
 */
type Why = string | undefined;

const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const MAX_NAME = 253;
const MAX_DNS_LABEL = 63;

const NAME_RULE =
  'lower-case letters, digits, "-" and ".", with a letter or digit at both ends and on both sides of each "."';

/** RFC 1123 subdomain: the name of most resources. */
export function whyNotName(text: string): Why {
  if (text === "") return "a name may not be empty";
  if (text.length > MAX_NAME) return `a name has at most ${MAX_NAME} characters, this one has ${text.length}`;
  return text.split(".").every(isDnsLabel) ? undefined : `${quote(text)} is not a name: ${NAME_RULE}`;
}

/** A name without dots of at most 63 characters: tiers. */
export function whyNotTierName(text: string): Why {
  if (text.length > MAX_DNS_LABEL)
    return `the name of a tier has at most ${MAX_DNS_LABEL} characters, this one has ${text.length}`;
  return isDnsLabel(text)
    ? undefined
    : `${quote(text)} is not the name of a tier: lower-case letters, digits and "-", with a letter or digit at both ends`;
}

/** `name` or `tier.name`. */
export function whyNotGlobalPolicyName(text: string): Why {
  return whyNotName(text) ?? (text.split(".").length > 2 ? `${quote(text)} has more than one "."` : undefined);
}

/** As the global ones, and the names that Calico gives to policies made from Kubernetes and OpenStack. */
export function whyNotPolicyName(text: string): Why {
  const why = whyNotName(text);
  return why === undefined && /^(?:knp|ossg)\.default\../.test(text)
    ? undefined
    : (why ?? whyNotGlobalPolicyName(text));
}

/** What Kubernetes has cannot be staged here. */
export function whyNotStagedPolicyName(text: string): Why {
  return text.startsWith("knp.default.")
    ? `${quote(text)} is the name of a policy of Kubernetes`
    : whyNotPolicyName(text);
}

/** A compose project, or "default": compose allows "_" as well. */
export function whyNotNamespace(text: string): Why {
  if (text.length > MAX_NAME) return `a namespace has at most ${MAX_NAME} characters, this one has ${text.length}`;
  return /^[a-z0-9][a-z0-9_.-]*$/.test(text)
    ? undefined
    : `${quote(text)} is not a namespace: the name of a compose project (lower-case letters, digits, "-", "_"), or "default"`;
}

/** A key of labels; annotations allow upper case in the prefix too (pass it in lower case). */
export function whyNotLabelName(text: string): Why {
  const parts = text.split("/");
  const name = parts.at(-1) ?? "";
  if (parts.length > 2) return `${quote(text)} is not a key: at most one "/"`;
  if (parts.length === 2 && whyNotName(parts[0] ?? "") !== undefined)
    return `${quote(text)} is not a key: what stands before "/" must be a DNS name in lower case`;
  if (name.length > MAX_DNS_LABEL)
    return `a key has at most ${MAX_DNS_LABEL} characters after the "/", ${quote(text)} has ${name.length}`;
  return isWord(name)
    ? undefined
    : `${quote(text)} is not a key: letters, digits, "-", "_" and ".", with a letter or digit at both ends`;
}

export function whyNotLabelValue(text: string): Why {
  if (text.length > MAX_DNS_LABEL)
    return `the value of a label has at most ${MAX_DNS_LABEL} characters, this one has ${text.length}`;
  return text === "" || isWord(text)
    ? undefined
    : `${quote(text)} is not the value of a label: letters, digits, "-", "_" and ".", with a letter or digit at both ends`;
}

/** RFC 6335 section 5.1, in lower case: the name of a port of an endpoint. */
export function whyNotPortName(text: string): Why {
  const good = text.length <= 15 && /^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(text) && /[a-z]/.test(text);
  return good
    ? undefined
    : `${quote(text)} is not the name of a port: at most 15 lower-case letters, digits and single "-", at least one letter`;
}

/** A Linux interface, or "*" for all of them. */
export function whyNotInterface(text: string): Why {
  return text === "*" || /^[a-zA-Z0-9_.-]{1,15}$/.test(text)
    ? undefined
    : `${quote(text)} is not an interface: "*", or 1 to 15 letters, digits, "_", "." and "-"`;
}

/** The text as a problem shows it: in quotes, cut where it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}

function isDnsLabel(text: string): boolean {
  return DNS_LABEL.test(text);
}

function isWord(text: string): boolean {
  return /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(text);
}
