// Which server comes next: those that come first by configuration (a gRPC service before the next, an endpoint's priority
// before a higher number) until they have failed, then the others, and after a stream that worked the first again. Equals
// are tried in a random order, so that many clients spread. Pure. Used by sources.ts.

/** `tiers`: the servers, best first, equals together; no tier is empty. */
export class ServerOrder<Server> {
  readonly #tiers: readonly (readonly Server[])[];
  readonly #random: () => number;
  #round: readonly Server[] = [];

  constructor(tiers: readonly (readonly Server[])[], random: () => number) {
    this.#tiers = tiers;
    this.#random = random;
  }

  /** `failures`: how many attempts in a row have failed before this one. */
  pick(failures: number): Server {
    const count = this.#tiers.reduce((sum, tier) => sum + tier.length, 0);
    const index = failures % count;
    if (index === 0 || this.#round.length === 0) this.#round = this.#tiers.flatMap((tier) => this.#shuffled(tier));
    return this.#round[index] as Server;
  }

  /** One of the first tier, when `server` is not of it; undefined when there is nothing better. */
  betterThan(server: Server): Server | undefined {
    const [first] = this.#tiers;
    if (first === undefined || first.includes(server)) return undefined;
    return this.#shuffled(first)[0];
  }

  #shuffled(tier: readonly Server[]): Server[] {
    return tier
      .map((server) => ({ server, rank: this.#random() }))
      .toSorted((a, b) => a.rank - b.rank)
      .map(({ server }) => server);
  }
}
