/** The libraries that read and verify XML, under types of ours (`library_types.ts`); to be loaded when somebody signs in. */
// @ts-types="./library_types.ts"
import { DOMParser } from "@xmldom/xmldom";
// @ts-types="./library_types.ts"
import { SignedXml } from "xml-crypto";

export { DOMParser, SignedXml };
