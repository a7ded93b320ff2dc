/** Counts the bytes of one device where `Wire.countAt` says; before that, it remembers how many there were. */
export class ByteCounts {
  private readonly traffic: Float64Array | undefined;
  private place = 0;
  private readonly before: [fromDevice: number, toDevice: number] = [0, 0];

  constructor(traffic: Float64Array | undefined) {
    this.traffic = traffic;
  }

  /** @param side 0: from the device, 1: to it */
  add(side: 0 | 1, bytes: number): void {
    const { place, traffic } = this;
    if (place === 0) this.before[side] += bytes;
    else if (traffic !== undefined) traffic[place + side] = (traffic[place + side] as number) + bytes;
  }

  countAt(place: number): void {
    const [fromDevice, toDevice] = this.place === 0 ? this.before : [0, 0];
    this.place = place;
    this.add(0, fromDevice);
    this.add(1, toDevice);
  }
}
