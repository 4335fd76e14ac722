/** To be loaded before the program: its wall clock is an hour ahead, until somebody sets it right. */
const now = Date.now;
Date.now = () => now() + 3_600_000;
