import { storeContract } from "../../../tests/store/store-contract.ts";
import { MemoryStore } from "./memory.ts";

storeContract("memory", async () => {
  const store = new MemoryStore();
  return { store, compact: (revision) => store.compact(revision), close: async () => store[Symbol.asyncDispose]() };
});
