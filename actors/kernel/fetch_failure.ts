/** Why nothing answered a fetch: the platform says it in the cause, and repeats the URL, which may hold what is nobody's business. */
export const fetchFailure = (error: Error): string => {
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replace(/ for url \([^)]*\)/g, "");
};
