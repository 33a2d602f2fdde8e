/** Light or dark: as the system has it, or as was chosen here. */
import { signal } from "@preact/signals";

type Theme = "light" | "dark";
const KEY = "manx-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

const stored = (): Theme | undefined => {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : undefined;
  } catch {
    return undefined; // storage may be forbidden
  }
};

export const theme = signal<Theme>(stored() ?? (system.matches ? "dark" : "light"));

export function applyTheme(): void {
  document.documentElement.dataset["theme"] = theme.value;
  system.addEventListener("change", () => {
    if (stored() === undefined) set(system.matches ? "dark" : "light");
  });
}

export function toggleTheme(): void {
  set(theme.value === "dark" ? "light" : "dark");
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {}
}

function set(next: Theme): void {
  document.documentElement.dataset["theme"] = next;
  theme.value = next;
}
