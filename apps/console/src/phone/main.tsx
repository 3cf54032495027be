import "../design/base.css";
