// std::format for standard libraries without it (GCC before 13), as far as mlx-c uses it: every
// placeholder is a plain `{}`. Included ahead of each of mlx-c's files.
#pragma once
#include <version>
#ifndef __cpp_lib_format
#include <sstream>
#include <string>
#include <string_view>
namespace std {
template <class... Values>
string format(string_view pattern, const Values&... values) {
  ostringstream text;
  [[maybe_unused]] auto put = [&](const auto& value) {
    auto place = pattern.find("{}");
    if (place == string_view::npos)
      return;
    text << pattern.substr(0, place) << value;
    pattern.remove_prefix(place + 2);
  };
  (put(values), ...);
  text << pattern;
  return text.str();
}
} // namespace std
#endif
