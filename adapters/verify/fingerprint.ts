/**
 * The 53-bit fingerprint that runs and index use for a stream, an event's name, a type. Part of the format: two lanes
 * of 32 bits over UTF-16 code units, mixed as MurmurHash3's finalizer does, the second cut to its low 21 bits and put
 * in front.
 */

/** The lanes before the first code unit, for the kind of thing (0 stream and name, 1 type, 2 correlation). */
export class Fingerprint {
  private a = 0;
  private b = 0;

  begin(kind: number): this {
    this.a = 0x9e3779b9 ^ kind;
    this.b = 0x85ebca6b ^ kind;
    return this;
  }

  text(text: string): this {
    let { a, b } = this;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      a = Math.imul(a ^ unit, 0xcc9e2d51);
      b = Math.imul(b ^ unit, 0x1b873593);
    }
    this.a = a;
    this.b = b;
    return this;
  }

  end(): number {
    const a = this.a ^ (this.a >>> 16);
    const low = Math.imul(a, 0x85ebca6b) ^ Math.imul(this.b ^ (this.b >>> 13), 0xc2b2ae35);
    const high = Math.imul(this.b ^ (this.b >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
    return (high & 0x1fffff) * 0x1_0000_0000 + (low >>> 0);
  }
}

const shared = new Fingerprint();
export const streamFingerprint = (stream: string): number => shared.begin(0).text(stream).end();
export const nameFingerprint = (source: string, id: string): number =>
  shared.begin(0).text(source).text("\n").text(id).end();
export const typeFingerprint = (type: string): number => shared.begin(1).text(type).end();
export const correlationFingerprint = (correlation: string): number => shared.begin(2).text(correlation).end();
