// What all descriptors of generated code have in common.

/** Options and the message that describes the descriptor are left out: nothing here asks for them. */
export class Described {
  readonly deprecated = false;

  get proto(): unknown {
    throw new Error("descriptors of generated code have no proto here");
  }
}

/** Things by their index, made when they are asked for, and once. */
export class Places<T> {
  readonly #made: T[] = [];
  readonly #make: (index: number) => T;

  constructor(make: (index: number) => T) {
    this.#make = make;
  }

  at(index: number): T {
    return (this.#made[index] ??= this.#make(index));
  }

  all(count: number): T[] {
    return Array.from({ length: count }, (_, index) => this.at(index));
  }
}
