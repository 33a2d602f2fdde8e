/** JUnit's XML, as Jenkins, GitLab and GitHub read it: a suite a test, a case a flow. */

import { flowText, flowTitle, type TestReport } from "./test-report.ts";
import { plain } from "./text.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** XML 1.0 has no way to write most control characters: they are shown as on a terminal. */
function xml(text: string): string {
  return plain(text).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

export function junit(reports: readonly TestReport[]): string {
  const suites = reports.map((report) => {
    const failures = report.flows.filter(({ ok }) => !ok).length;
    const cases = report.flows.map((result) => {
      const open = `    <testcase classname="${xml(report.name)}" name="${xml(flowTitle(result))}"`;
      if (result.ok) return `${open}/>`;
      const details = result.decidedBy.map(xml).join("&#10;");
      return `${open}>\n      <failure message="${xml(flowText(result))}">${details}</failure>\n    </testcase>`;
    });
    const open = `  <testsuite name="${xml(report.name)}" file="${xml(report.file)}" tests="${report.flows.length}" failures="${failures}">`;
    return [open, ...cases, "  </testsuite>"].join("\n");
  });
  return ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", ...suites, "</testsuites>", ""].join("\n");
}
