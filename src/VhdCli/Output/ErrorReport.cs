using System.Buffers;
using System.Text;
using System.Text.Json;
using VhdCore.Errors;

namespace VhdCli.Output;

/// <summary>Shows failures on standard error, for people or for programs.</summary>
internal static class ErrorReport
{
    /// <summary>Shows what went wrong with an image or a file.</summary>
    public static void Write(CliSession session, Exception error)
    {
        var image = error as ImageException;
        Write(session, KindOf(image), image?.Path, image?.FileOffset, error.Message);
        if (session.IsVerbose)
        {
            session.Trace(error.ToString());
        }
    }

    /// <summary>Shows a mistake of the program itself.</summary>
    public static void WriteInternal(CliSession session, Exception error)
    {
        Write(session, "internal", null, null, $"internal error, please report it: {error.GetType().Name}: {error.Message}");
        session.Trace(error.ToString());
    }

    private static string KindOf(ImageException? error) => error?.Kind switch
    {
        ImageErrorKind.Corrupt => "corrupt",
        ImageErrorKind.Unsupported => "unsupported",
        ImageErrorKind.NeedsReplay => "needs-replay",
        ImageErrorKind.ParentMismatch => "parent-mismatch",
        ImageErrorKind.InUse => "in-use",
        _ => "io",
    };

    private static void Write(CliSession session, string kind, string? path, long? fileOffset, string message)
    {
        if (!session.JsonErrors)
        {
            var place = path is null || message.Contains(path, StringComparison.Ordinal) ? "" : path + ": ";
            session.Say(place + message);
            return;
        }

        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, JsonText.Compact))
        {
            json.WriteStartObject();
            json.WriteString("kind"u8, kind);
            json.WriteString("path"u8, path);
            if (fileOffset is { } offset)
            {
                json.WriteNumber("fileOffset"u8, offset);
            }
            else
            {
                json.WriteNull("fileOffset"u8);
            }

            json.WriteString("message"u8, message);
            json.WriteEndObject();
        }

        session.WriteError(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }
}
