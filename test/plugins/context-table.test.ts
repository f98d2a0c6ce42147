import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ContextTable } from "../../plugins/context-table.ts";
import type { GuestContext } from "../../plugins/contexts.ts";

const context = (id: number): GuestContext => ({ id }) as GuestContext;

describe("ContextTable", () => {
  it("counts ids up from 1 and knows a context until it is deleted", () => {
    const table = new ContextTable();
    const first = context(table.nextId());
    table.add(first);
    assert.equal(first.id, 1);
    assert.equal(table.get(1), first);
    table.delete(1);
    table.delete(1);
    assert.equal(table.get(1), undefined);
    assert.equal(table.size, 0);
    assert.equal(table.nextId(), 2);
  });

  it("does not take an id of the same place for a context's", () => {
    const table = new ContextTable();
    table.add(context(table.nextId()));
    assert.equal(table.get(1 + 64), undefined);
    assert.equal(table.get(0), undefined);
    assert.equal(table.get(0xffff_ffff), undefined);
  });

  it("skips the places of contexts that stay, and keeps all of them as it grows", () => {
    const property = fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 2_000 }), (choices) => {
      const table = new ContextTable();
      const model = new Map<number, GuestContext>();
      let last = 0;
      for (const choice of choices) {
        if (choice > 0) {
          const made = context(table.nextId());
          assert.ok(made.id > last);
          last = made.id;
          table.add(made);
          model.set(made.id, made);
        } else {
          const [oldest] = model.keys();
          table.delete(oldest ?? 0);
          model.delete(oldest ?? 0);
        }
      }
      assert.equal(table.size, model.size);
      for (const [id, made] of model) {
        assert.equal(table.get(id), made);
      }
      assert.deepEqual(new Set(table.values()), new Set(model.values()));
    });
    fc.assert(property);
  });
});
