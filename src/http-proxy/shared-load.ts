/** Of all that a node may have at one time, one source may have this part, and a few in any case. */
const SHARE = 0.5;
const FEW = 8;

/** The requests that are under way at one node, with a share for each source, so that none takes what all need. */
export class SharedLoad {
  inFlight = 0;
  private readonly max: number;
  private readonly maxOfSource: number;
  private readonly bySource = new Map<string, number>();

  /** @param max requests at one time */
  constructor(max: number) {
    this.max = max;
    this.maxOfSource = Math.min(max, Math.max(FEW, Math.floor(max * SHARE)));
  }

  /** False when there is no room for one more of this source. */
  hasRoom(source: string): boolean {
    return this.inFlight < this.max && (this.bySource.get(source) ?? 0) < this.maxOfSource;
  }

  add(source: string): void {
    this.inFlight++;
    this.bySource.set(source, (this.bySource.get(source) ?? 0) + 1);
  }

  remove(source: string): void {
    this.inFlight--;
    const left = (this.bySource.get(source) ?? 0) - 1;
    if (left > 0) this.bySource.set(source, left);
    else this.bySource.delete(source);
  }
}
