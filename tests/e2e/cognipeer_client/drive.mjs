// Makes the calls that it is told to with the vendor's published client, and tells what they returned or threw.
//
// The first line of standard input holds the client's options, as JSON. Each further line is a JSON array of calls that
// are made at the same time: [{"method": "memory.add", "args": ["mem-notes", {"content": "..."}]}, ...]. For each such
// line one is written, the outcomes in the order of the calls: {"ok": value}, without "ok" if the client returned
// undefined, or {"error": {name, message, statusCode, errorType, response}}; with "requests", how often the client asked
// the service for it. It ends with its input.

import { AsyncLocalStorage } from "node:async_hooks";
import { createInterface } from "node:readline";

import { ConsoleClient } from "@cognipeer/console-sdk";

const calls = new AsyncLocalStorage();

function counted(...request) {
  calls.getStore().requests += 1;
  return fetch(...request);
}

async function outcome(client, { method, args }) {
  const names = method.split(".");
  const name = names.pop();
  const resource = names.reduce((found, each) => found[each], client);
  const call = { requests: 0 };
  try {
    const ok = await calls.run(call, () => resource[name](...args));
    return { ok, requests: call.requests };
  } catch (error) {
    const { message, statusCode, errorType, response } = error;
    return { error: { name: error.name, message, statusCode, errorType, response }, requests: call.requests };
  }
}

let client;
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const told = JSON.parse(line);
  if (client === undefined) {
    client = new ConsoleClient({ ...told, fetch: counted });
  } else {
    const outcomes = await Promise.all(told.map((call) => outcome(client, call)));
    process.stdout.write(`${JSON.stringify(outcomes)}\n`);
  }
}
