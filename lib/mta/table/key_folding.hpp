// Folds keys to lower case: ASCII letters, and where tables hold UTF-8 every letter that has two cases.
//
// No I/O. The second kind needs a table of 1500 letters that is only looked at for keys with bytes above 127.
#pragma once

#include <string>
#include <string_view>

namespace mta::table {

// What Unicode calls full case folding ("ß" becomes "ss"), for text that is UTF-8. Appends to out.
void fold_unicode(std::string_view text, std::string& out);

// utf8 says that key is UTF-8.
[[nodiscard]] std::string folded_key(std::string_view key, bool utf8);

// The same for many keys; the answer stays until the next call.
class key_folder {
public:
    [[nodiscard]] std::string_view operator()(std::string_view key, bool utf8);

private:
    std::string folded_;
};

} // namespace mta::table
