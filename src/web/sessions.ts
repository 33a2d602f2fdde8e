/**
 * Who may come in: the token, which is kept in a file, and cookies made from it. A cookie is its own proof, so sessions outlive the
 * agent and take no memory; a new token ends them all.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Milliseconds until one has to log in again. */
export const SESSION_LENGTH = 12 * 3_600_000;

export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** Takes the same time wherever the texts differ. */
export function isToken(given: string, token: string): boolean {
  const digest = (text: string): Buffer => createHmac("sha256", "manx").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

export function makeSession(token: string, now: number): string {
  const body = `${now + SESSION_LENGTH}.${randomBytes(9).toString("base64url")}`;
  return `${body}.${sign(body, token)}`;
}

export function isSession(text: string, token: string, now: number): boolean {
  const [, body = "", expires] = /^(([0-9]{1,16})\.[\w-]{1,32})\.[\w-]{43}$/.exec(text) ?? [];
  return body !== "" && isToken(text.slice(body.length + 1), sign(body, token)) && Number(expires) > now;
}

function sign(body: string, token: string): string {
  return createHmac("sha256", token).update(`session ${body}`).digest("base64url");
}
