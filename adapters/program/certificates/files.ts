/** Where certificates lie in a data folder: below one folder, a folder for each. */
export const CERTIFICATES_FOLDER = "certificates";
/** In the order in which they are written. */
export const CERTIFICATE_FILES = {
  key: "key.pem",
  certificate: "certificate.pem",
  authority: "authority.pem",
} as const;
