using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace VhdCli.Output;

/// <summary>JSON as this program prints it. Written by hand: a serializer would take longer to start than most verbs take to run.</summary>
internal static class JsonText
{
    // Paths and names stay readable; the output is never part of a web page.
    public static JsonWriterOptions Compact { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonWriterOptions Indented = Compact with { Indented = true, IndentSize = 4, NewLine = "\n" };

    /// <summary>Writes one document and a line end to standard output.</summary>
    public static void Print(CliSession session, Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Indented))
        {
            write(json);
        }

        buffer.Write("\n"u8);
        session.Output.Write(buffer.WrittenSpan);
        session.Output.Flush();
    }
}
