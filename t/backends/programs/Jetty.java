// SPDX-License-Identifier: Apache-2.0
// Copyright The mod_m2mgw authors
//
// Jetty with two servlets: java -cp JARS Jetty.java PORT
import java.io.IOException;
import javax.servlet.http.Cookie;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

public class Jetty {
    static class Show extends HttpServlet {
        final String section;

        Show(String section) {
            this.section = section;
        }

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            response.setContentType("text/plain");
            response.getWriter().print("section=" + section + "\n");
            String[] values = request.getParameterValues("client_id");
            for (String value : values == null ? new String[0] : values) {
                response.getWriter().print("query=" + value + "\n");
            }
            for (Cookie cookie : request.getCookies() == null ? new Cookie[0] : request.getCookies()) {
                if (cookie.getName().equals("client_id")) {
                    response.getWriter().print("cookie=" + cookie.getValue() + "\n");
                }
            }
            if (request.getHeader("X-Client-Id") != null) {
                response.getWriter().print("header=" + request.getHeader("X-Client-Id") + "\n");
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(args[0]));
        server.addConnector(connector);
        ServletContextHandler context = new ServletContextHandler();
        context.addServlet(new ServletHolder(new Show("app")), "/app/*");
        context.addServlet(new ServletHolder(new Show("open")), "/*");
        server.setHandler(context);
        server.start();
        server.join();
    }
}
