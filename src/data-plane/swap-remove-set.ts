/** Where a member stands; written by the set only. */
export interface SwapRemovable {
  setIndex: number;
}

/** Who is there, each once. Coming and going cost the same however many there are, and less than in a Set. */
export class SwapRemoveSet<T extends SwapRemovable> implements Iterable<T> {
  private readonly members: T[] = [];

  add(member: T): void {
    member.setIndex = this.members.length;
    this.members.push(member);
  }

  /** The last takes its place. */
  delete(member: T): void {
    const { members } = this;
    if (!this.has(member)) return;
    const last = members.pop() as T;
    if (last === member) return;
    last.setIndex = member.setIndex;
    members[last.setIndex] = last;
  }

  has(member: T): boolean {
    return this.members[member.setIndex] === member;
  }

  /** From the last to the first, so that members may go meanwhile; who comes meanwhile is not among them. */
  *[Symbol.iterator](): Iterator<T> {
    for (let at = this.members.length - 1; at >= 0; at--) {
      const member = this.members[at];
      if (member !== undefined) yield member;
    }
  }
}
