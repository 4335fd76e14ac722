// Without this its button is pressed.
document.querySelector("form").submit();
