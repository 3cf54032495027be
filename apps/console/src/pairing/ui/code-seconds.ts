/** How long a code lives, for the texts before there is one. */
export const CODE_SECONDS = 60;
