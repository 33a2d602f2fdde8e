import { conntrackContract } from "../../../tests/conntrack/conntrack-contract.ts";
import type { Tuple } from "./conntrack.ts";
import { FakeConntrack } from "./fake-conntrack.ts";

conntrackContract("fake", () => {
  const conntrack = new FakeConntrack();
  let id = 0;
  const begin = (original: Tuple): void =>
    conntrack.begin({
      family: original.source.includes(":") ? 6 : 4,
      id: (id += 2),
      original,
      reply: turned(original),
      zone: 0,
      mark: 0,
      answered: true,
      assured: true,
      sourceNat: false,
      destinationNat: false,
    });
  return { conntrack, begin: (...tuples) => tuples.forEach(begin), [Symbol.dispose]: () => undefined };
});

function turned({ source, destination, sourcePort, destinationPort, ...rest }: Tuple): Tuple {
  return {
    ...rest,
    source: destination,
    destination: source,
    ...(destinationPort === undefined ? {} : { sourcePort: destinationPort }),
    ...(sourcePort === undefined ? {} : { destinationPort: sourcePort }),
  };
}
