document.title = "Manyline";
