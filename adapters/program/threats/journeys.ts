/** How far apart two sign-ins were, and whether anybody could have travelled so fast. */
import type { Journey } from "../../../actors/threats/rules.ts";
import type { Millis } from "../../../events/event.ts";

/** A passenger aircraft, and a town: what is slower or nearer is no wonder. */
const TRAVEL = { km_per_hour: 900, km: 50 } as const;

const EARTH_KM = 6_371.0088;
const HOUR_MS = 3_600_000;
const PLACE = /^(-?\d{1,2}(?:\.\d{1,8})?),(-?\d{1,3}(?:\.\d{1,8})?)$/;

type Point = readonly [latitude: number, longitude: number];

/** `48.14,11.58`; `undefined` for what is no place on Earth. */
export const pointOf = (text: string): Point | undefined => {
  const [, latitude, longitude] = PLACE.exec(text) ?? [];
  const point = [Number(latitude), Number(longitude)] as const;
  return Math.abs(point[0]) <= 90 && Math.abs(point[1]) <= 180 ? point : undefined;
};

/** Along a great circle (haversine), on a sphere. */
export const kilometres = ([a, b]: Point, [c, d]: Point): number => {
  const radians = (degrees: number) => degrees * Math.PI / 180;
  const half = Math.sin(radians(c - a) / 2) ** 2 +
    Math.cos(radians(a)) * Math.cos(radians(c)) * Math.sin(radians(d - b) / 2) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(half)));
};

export const isImpossible = (km: number, ms: Millis): boolean =>
  km >= TRAVEL.km && km >= TRAVEL.km_per_hour * Math.abs(ms) / HOUR_MS;

const iso = (at: Millis): string => new Date(at).toISOString();

/** What there is to tell of a journey; nothing of one that somebody may have made, or whose places nobody can read any more. */
export const sightingOf = ({ from, to, score }: Journey, unseal: (text: string) => string) => {
  const [a, b] = [pointOf(unseal(from.place)), pointOf(unseal(to.place))];
  if (!a || !b) return undefined;
  const km = kilometres(a, b);
  if (!isImpossible(km, to.at - from.at)) return undefined;
  return {
    rule: "impossible_travel",
    score,
    evidence: [from.position, to.position],
    count: Math.round(km),
    first: iso(Math.min(from.at, to.at)),
    last: iso(Math.max(from.at, to.at)),
  } as const;
};
