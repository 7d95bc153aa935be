# A file in the program: ct_embed(TARGET SYMBOL FILE OUT.c) makes OUT.c define
# `const unsigned char SYMBOL[]` and `const size_t SYMBOL_len`.
set(CT_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed_file.cmake)
function(ct_embed target symbol file out)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DSYMBOL=${symbol} -DIN=${file} -DOUT=${out} -P ${CT_EMBED_SCRIPT}
    DEPENDS ${file} ${CT_EMBED_SCRIPT} VERBATIM)
endfunction()
