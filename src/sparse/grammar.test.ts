/** The text of policies: canonical forms, errors, and the way there and back. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CombinatorName, combinators } from "./combinators.ts";
import { type PolicyText, parseText, printText } from "./grammar.ts";
import { defaultOptions, EVERYWHERE, type PolicyOptions } from "./options.ts";
import { parsePolicy, policies } from "./policies.ts";
import type { PolicyEntry } from "./policy.ts";

describe("the parser", () => {
  test.each([
    ["energi:0.99", /unknown policy "energi".*did you mean "energy".*dense, threshold/],
    ["energy:2", /RHO must be a number from 0 to 1/],
    ["density:abc", /P must be a number/],
    ["threshold:-1", /TAU must be a number from 0/],
    ["threshold:", /TAU must be a number/],
    ["threshold:NaN", /TAU must be a number/],
    ["dense:1", /takes no argument/],
    ["dense:paths=dW", /takes no argument/],
    ["", /unknown policy ""/],
    ["energy:0.9,0.8", /no option "0.8".*The options are: pooled, paths, bias, a gate, as in o=0.9/],
    ["energy:pooled,0.8", /no option "0.8"/],
    ["energy:0.9,poled", /no option "poled", did you mean "pooled"/],
    ["energy:0.9,size=4", /energy has no option "size"/],
    ["energy:0.9,o=2", /RHO of gate o must be a number from 0 to 1/],
    ["energy:0.9,o=", /RHO of gate o must be a number/],
    ["energy:0.9,o", /no option "o"/],
    ["energy:0.9,o=0.8,o=0.9", /o stands there twice/],
    ["energy:0.9,pooled,o=0.8", /pooled is one budget for all gates, and o has its own/],
    ["rows:0.1,o=0.2", /rows has no option "o".*The options are: unbiased, paths, bias\.$/],
    ["energy:0.9,pooled=yes", /pooled is a flag/],
    ["energy:0.9,paths=dx", /paths must be one of both, dh, dW/],
    ["energy:0.9,bias", /bias must be one of pruned, dense/],
    ["block:0.1,size=1.5", /size must be a whole number from 1/],
    ["block:0.1,size", /size must be a whole number from 1/],
    ["memory:0.1,decay=2", /decay must be a number from 0 to 1/],
    ["warmup+energy:0.9", /write combinators as in "warmup\(200\)\+energy:0.99"/],
    ["warmup(200)", /write combinators as in/],
    ["warmup(2)+", /unknown policy ""/],
    ["warmap(2)+energy", /unknown combinator "warmap", did you mean "warmup"/],
    ["warmup(x)+energy", /write warmup\(STEPS\) with numbers/],
    ["warmup()+energy", /write warmup\(STEPS\) with numbers/],
    ["warmup(1,2)+energy", /write warmup\(STEPS\) with numbers/],
    ["warmup(1.5)+energy", /whole number of steps, or a share of the run below 1, got 1.5/],
    ["warmup(-1)+energy", /whole number of steps/],
    ["every(0.5)+energy", /every\(N\) needs a whole number of at least 1, got 0.5/],
    ["warmup(2)+warmup(3)+energy", /warmup stands there twice/],
    ["ramp(0.1)+energy", /write ramp\(FROM,TO,STEPS\) with numbers/],
    ["ramp(0.1,2,5)+energy", /RHO must be a number from 0 to 1/],
    ["ramp(0.1,1,5)+energy:0.9", /the ramp gives the argument RHO; leave 0.9 out/],
    ["ramp(0.1,1,5)+dense", /dense has none/],
  ])("refuses %j", (text, message) => {
    expect(() => parsePolicy(text)).toThrow(message);
  });

  test.each([
    ["threshold:0.000001", "threshold:1e-6"],
    ["energy", "energy:0.99"],
    ["energy:.990", "energy:0.99"],
    [" topk : 0.2 , paths = dW, unified ,i=0.3,f=.4", "topk:0.2,f=0.4,i=0.3,unified,paths=dW"],
    ["topk:unified", "topk:0.1,unified"],
    ["topk:0.1,unified=true,pooled=false,bias=pruned", "topk:0.1,unified"],
    ["every( 10 ) + warmup(200)+energy:0.99", "warmup(200)+every(10)+energy:0.99"],
    ["ramp(1,.1,1e2)+density:o=0.5", "ramp(1,0.1,100)+density:o=0.5"],
    ["ramp(1,0.1)+density", "ramp(1,0.1)+density"],
    ["threshold:1e+3", "threshold:1000"],
    ["threshold:1e25", "threshold:1e+25"],
    ["threshold:-0", "threshold:0"],
  ])("%j is %j in canonical form", (text, canonical) => {
    expect(parsePolicy(text).name).toBe(canonical);
    expect(parsePolicy(canonical).name).toBe(canonical);
  });

  test("parse(print(p)) = p", () => {
    fc.assert(
      fc.property(policyTexts, (policy) => {
        expect(parseText(printText(policy), policies)).toEqual(policy);
      }),
      { numRuns: 2000 },
    );
  });
});

/** Any policy with any options and combinators. */
const policyTexts: fc.Arbitrary<PolicyText> = fc
  .record({
    name: fc.constantFrom(...Object.keys(policies)),
    gates: fc.uniqueArray(fc.constantFrom("i", "f", "g", "o", "r", "z", "n", "h"), { maxLength: 3 }),
    numbers: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 8, maxLength: 8 }),
    options: fc.record({
      pooled: fc.boolean(),
      unified: fc.boolean(),
      unbiased: fc.boolean(),
      size: fc.integer({ min: 1, max: 65536 }),
      decay: fc.double({ min: 0, max: 1, noNaN: true }),
      paths: fc.constantFrom("both" as const, "dh" as const, "dW" as const),
      bias: fc.constantFrom("pruned" as const, "dense" as const),
    }),
    combinators: fc.subarray(Object.keys(combinators) as CombinatorName[]),
    duration: fc.oneof(fc.integer({ min: 0, max: 1e6 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
    count: fc.integer({ min: 1, max: 1e6 }),
    open: fc.boolean(),
  })
  .map(({ name, gates, numbers, options, combinators: names, duration, count, open }): PolicyText => {
    const { argument, options: own = [] } = policies[name] as PolicyEntry;
    const values = numbers.map((x) => x + 0 || 0); // no -0
    const understood = (key: string) => !!argument && (own.includes(key as never) || EVERYWHERE.includes(key as never));
    const kept = { ...options, decay: options.decay || 0 };
    const chosen = names.filter((combinator) => argument || combinator !== "ramp");
    return {
      combinators: chosen.map((combinator) => ({
        name: combinator,
        args:
          combinator === "ramp"
            ? [values[0]!, values[1]!, ...(open ? [] : [duration || 0])]
            : [combinator === "every" ? count : duration || 0],
      })),
      name,
      argument: argument && !chosen.includes("ramp") ? values[2] : undefined,
      gates:
        argument?.perGate && !(understood("pooled") && options.pooled)
          ? Object.fromEntries(gates.map((gate, i) => [gate, values[3 + i]!]))
          : {},
      options: Object.fromEntries(
        Object.entries(defaultOptions()).map(([key, usual]) => [
          key,
          understood(key) ? kept[key as keyof PolicyOptions] : usual,
        ]),
      ) as unknown as PolicyOptions,
    };
  });
