# nib_embed_file(target symbol file): compiles the bytes of `file` into `target` as
# `extern const char symbol[]` (NUL-terminated); rebuilt when the file changes.
# Also the script that does it: cmake -DINPUT=… -DOUTPUT=… -DSYMBOL=… -P NibEmbed.cmake
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${INPUT} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n  " bytes "${bytes}")
  file(WRITE ${OUTPUT} "extern const char ${SYMBOL}[];\nconst char ${SYMBOL}[] = {\n  ${bytes}0};\n")
  return()
endif()

set(NIB_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(nib_embed_file target symbol file)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${file} -DOUTPUT=${output} -DSYMBOL=${symbol} -P ${NIB_EMBED_SCRIPT}
    DEPENDS ${file} ${NIB_EMBED_SCRIPT})
  target_sources(${target} PRIVATE ${output})
endfunction()
